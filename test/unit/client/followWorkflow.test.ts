import { describe, expect, test } from 'vitest';
import {
  exitCodeOf,
  followWorkflow,
  type FollowChange,
  type FollowedWorkflow,
} from '../../../client/followWorkflow.js';
import { TidemillError } from '../../../contracts/errors.js';
import type { ProgressStatus, WatchStatus } from '../../../contracts/rollout.js';
import type { DriftCase, LifecycleStatus, RetrainStatus } from '../../../contracts/workflows.js';

type Look = { readonly status: unknown } | 'silent' | 'away';

/** A workflow that looks as given, look by look, and then has ended. */
function workflow(looks: readonly Look[], end: Awaited<ReturnType<FollowedWorkflow['end']>>): FollowedWorkflow {
  let at = -1;
  return {
    isRunning: async () => {
      at++;
      if (looks[at] === 'away') throw new TidemillError('TEMPORAL_UNAVAILABLE', 'nobody answers');
      return at < looks.length - 1;
    },
    status: async () => {
      const look = looks[at];
      return look === undefined || look === 'silent' || look === 'away'
        ? { kind: 'silent' }
        : { kind: 'answered', status: look.status };
    },
    end: async () => end,
  };
}

async function changesOf(followed: FollowedWorkflow): Promise<FollowChange[]> {
  const changes: FollowChange[] = [];
  for await (const change of followWorkflow(followed, { pollMs: 1 })) changes.push(change);
  return changes;
}

const done = { kind: 'result', result: { outcome: 'promoted', version: 1 } } as const;
const retrain = (phase: RetrainStatus['phase'], steps: number): Look => {
  const all: RetrainStatus['steps'] = [
    { step: 'lease', result: 'token 1' },
    { step: 'snapshot', result: '2 topics archived' },
    { step: 'dataset', result: '10 rows' },
  ];
  const status: RetrainStatus = {
    model: 'fraud',
    phase,
    token: 1,
    version: null,
    trigger: 'manual',
    steps: all.slice(0, steps),
  };
  return { status };
};

describe('following a rollout', () => {
  test('tells every step once, also those that came between two looks or before the first, and each phase', async () => {
    const looks = [retrain('snapshot', 1), retrain('snapshot', 1), retrain('done', 3)];
    expect(await changesOf(workflow(looks, done))).toEqual([
      { kind: 'step', step: 'lease', result: 'token 1' },
      { kind: 'phase', phase: 'snapshot', version: null },
      { kind: 'step', step: 'snapshot', result: '2 topics archived' },
      { kind: 'step', step: 'dataset', result: '10 rows' },
      { kind: 'phase', phase: 'done', version: null },
      done,
    ]);
  });

  test('goes on through a server that is away and a worker that is silent, and says each once', async () => {
    const looks = [retrain('snapshot', 1), 'away', 'away', 'silent', 'silent', retrain('done', 2)] as const;
    expect(await changesOf(workflow(looks, done))).toEqual([
      { kind: 'step', step: 'lease', result: 'token 1' },
      { kind: 'phase', phase: 'snapshot', version: null },
      { kind: 'waiting', reason: 'the server does not answer' },
      { kind: 'waiting', reason: 'no worker answers for it' },
      { kind: 'step', step: 'snapshot', result: '2 topics archived' },
      { kind: 'phase', phase: 'done', version: null },
      done,
    ]);
  });

  test('tells how one ended that no worker answers for any more', async () => {
    const failed = { kind: 'failed', status: 'terminated', code: null, message: 'by hand' } as const;
    expect(await changesOf(workflow(['silent'], failed))).toEqual([failed]);
  });

  test('ends where it is told to, without a word about the workflow', async () => {
    const stop = new AbortController();
    const followed = workflow(
      Array.from({ length: 1_000 }, () => retrain('snapshot', 1)),
      done,
    );
    const changes: FollowChange[] = [];
    for await (const change of followWorkflow(followed, { pollMs: 1, signal: stop.signal })) {
      changes.push(change);
      stop.abort();
    }
    expect(changes.every(({ kind }) => kind === 'step' || kind === 'phase')).toBe(true);
  });

  test('of one that there is not is an error at once', async () => {
    const missing: FollowedWorkflow = {
      ...workflow([], done),
      isRunning: () => Promise.reject(new TidemillError('WORKFLOW_NOT_FOUND', 'none')),
    };
    await expect(changesOf(missing)).rejects.toMatchObject({ code: 'WORKFLOW_NOT_FOUND' });
  });
});

test('following a lifecycle tells each change of a case and of the rollout', async () => {
  const open: DriftCase = {
    id: 'c1',
    source: 's',
    version: 1,
    onset: 0,
    detectedAt: 1,
    findings: 1,
    state: 'open',
    note: '',
  };
  const training: DriftCase = { ...open, state: 'training', note: '300 positives' };
  const status = (cases: readonly DriftCase[], workflowId: string | null): Look => {
    const rollout = workflowId === null ? null : ({ workflowId, trigger: 'drift' } as const);
    return { status: { model: 'fraud', cases, rollout, queued: null } satisfies LifecycleStatus };
  };
  const looks = [
    status([], null),
    status([open], null),
    status([open], null),
    status([training], 'r1'),
    status([], null),
  ];
  expect(await changesOf(workflow(looks, done))).toEqual([
    { kind: 'case', case: open },
    { kind: 'case', case: training },
    { kind: 'rollout', workflowId: 'r1' },
    { kind: 'rollout', workflowId: null },
    done,
  ]);
});

test('following a candidate that is watched tells each look once', async () => {
  const verdict = { decision: 'continue', seen: 200, verdicts: [], reason: 'a third' } as const;
  const look = (looks: number, phase: string): Look => ({
    status: {
      model: 'fraud',
      version: 2,
      phase,
      looks: Array.from({ length: looks }, (_, at) => ({ step: 'shadow', look: at + 1, result: verdict })),
    } satisfies WatchStatus,
  });
  const told = { kind: 'look', step: 'shadow', decision: 'continue', seen: 200, reason: 'a third' } as const;
  expect(
    await changesOf(workflow([look(0, 'shadow'), look(1, 'shadow'), look(1, 'shadow'), look(2, 'done')], done)),
  ).toEqual([
    { kind: 'phase', phase: 'shadow', version: 2 },
    { ...told, look: 1 },
    { ...told, look: 2 },
    { kind: 'phase', phase: 'done', version: 2 },
    done,
  ]);
});

test('following a rollback tells its steps', async () => {
  const steps = [{ step: 'rollback', result: 'from version 2 to version 1' }];
  const looks = [{ status: { model: 'fraud', phase: 'active', steps } satisfies ProgressStatus }];
  expect(await changesOf(workflow(looks, done))).toEqual([
    { kind: 'step', ...steps[0] },
    { kind: 'phase', phase: 'active', version: null },
    done,
  ]);
});

test('a rollout that waits for an approval says what for, once', async () => {
  const request = { model: 'fraud', version: 2, sha256: 'a', evidence: 'e', token: 1, requestedBy: null };
  const waits = (approval: RetrainStatus['approval']): Look => ({
    status: { ...(retrain('approval', 1) as { status: RetrainStatus }).status, approval: approval ?? null },
  });
  expect(await changesOf(workflow([waits(request), waits(request), waits(null)], done))).toEqual([
    { kind: 'step', step: 'lease', result: 'token 1' },
    { kind: 'phase', phase: 'approval', version: null },
    { kind: 'approval', request },
    done,
  ]);
});

test('a workflow without a status is followed to its end in silence', async () => {
  expect(await changesOf(workflow([{ status: null }, { status: null }], done))).toEqual([done]);
});

test.each([
  [{ outcome: 'promoted' }, 0],
  [{ outcome: 'notPromoted' }, 3],
  [{ outcome: 'refused' }, 3],
  [{ outcome: 'rolledBack', version: 2, reason: 'bake' }, 3],
  [{ outcome: 'rolledBack', from: 2, to: 1 }, 0],
  [{ outcome: 'alreadyRolledBack', to: 1 }, 0],
  [{ decision: 'pass' }, 0],
  [{ decision: 'fail' }, 3],
  [{ decision: 'inconclusive' }, 3],
  [{ outcome: 'fenced', version: 2 }, 3],
  ['anything else', 0],
  [null, 0],
])('the result %j stands for exit code %i', (result, code) => {
  expect(exitCodeOf(result)).toBe(code);
});
