import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createLocalIssuer } from '../../../client/localIssuer.js';
import type { ApprovalAnswer } from '../../../contracts/approval.js';
import { ERROR_CODES, type ErrorCode } from '../../../contracts/errorCodes.js';
import { isTidemillError } from '../../../contracts/errors.js';
import type { ApprovalRequest } from '../../../contracts/rollout.js';
import { lifecycleId } from '../../../contracts/workflows.js';
import { findTemporal } from '../../../infra/findTemporal.js';
import { PASSED } from '../../support/approvals.js';
import { RolloutServer } from '../../support/rolloutServer.js';

const cli = join(process.cwd(), 'dist', 'cli', 'main.js');

let server: RolloutServer;
let temporal: string;
beforeAll(async () => {
  server = await RolloutServer.start();
  temporal = await findTemporal();
  await createLocalIssuer(server.home);
}, 120_000);
afterAll(() => server.stop());

const sign: RolloutServer['sign'] = (...wanted) => server.sign(...wanted);

interface Ended {
  readonly code: number;
  readonly stderr: string;
}
const ended = (program: string, ...args: string[]): Promise<Ended> =>
  promisify(execFile)(program, args, { env: server.env }).then(
    () => ({ code: 0, stderr: '' }),
    (failed: unknown) => failed as Ended,
  );

/** What the newest update that was accepted and refused has failed with: its first line, as the Temporal UI lists it. */
async function newestRefusal(): Promise<string | null> {
  const handle = server.lifecycle.temporal.workflow.getHandle(lifecycleId(server.project, 'fraud'));
  const { events } = await handle.fetchHistory();
  const refused = (events ?? []).flatMap(
    (event) => event.workflowExecutionUpdateCompletedEventAttributes?.outcome?.failure?.message ?? [],
  );
  return refused.at(-1) ?? null;
}

interface Expected {
  readonly why: string;
  readonly code?: ErrorCode;
  /** What the command line says, where it looks before it asks. @default why */
  readonly said?: string;
  /** Refused before it is accepted: it leaves no trace in the history. */
  readonly isTraceless?: boolean;
}

/** Gives an answer in all three ways; each says code, explanation and what to do. */
async function expectRefused(answer: ApprovalAnswer, expected: Expected): Promise<void> {
  const { why, code = 'APPROVAL_INVALID', said = why, isTraceless = false } = expected;
  const { action, exit } = ERROR_CODES[code];

  const thrown: unknown = await server.client.approve('fraud', answer).catch((error: unknown) => error);
  if (!isTidemillError(thrown, code)) throw thrown;
  expect(thrown.message).toContain(why);
  expect(thrown.message).not.toContain(action);
  expect(thrown.action).toBe(action);

  const to = ['--workflow-id', lifecycleId(server.project, 'fraud'), '--address', server.temporal.address];
  const input = ['--name', 'approve', '--input', JSON.stringify(answer)];
  const before = await newestRefusal();
  const update = await ended(temporal, 'workflow', 'update', 'execute', ...to, ...input);
  expect(update.code).toBe(1);
  for (const part of [`${code}: `, why, action]) expect(plain(update.stderr)).toContain(part);
  if (isTraceless) expect(await newestRefusal()).toBe(before);
  else {
    const first = await newestRefusal();
    expect(first).toMatch(new RegExp(`^${code}: `));
    expect(first).toContain(why);
    expect(first).toContain(action);
  }

  if (!('token' in answer)) return;
  const file = join(server.home, 'token');
  await writeFile(file, answer.token);
  const { code: status, stderr } = await ended(process.execPath, cli, 'approve', 'fraud', '--token', file, '--yes');
  expect(status).toBe(exit);
  for (const part of [`${code}: `, said, action]) expect(stderr).toContain(part);
}

/** The command line of Temporal quotes what it logs. */
function plain(logged: string): string {
  return logged.replaceAll('\\"', '"');
}

describe('an answer that is not one to what waits', () => {
  let waiting: Awaited<ReturnType<RolloutServer['waiting']>>;
  beforeAll(async () => {
    waiting = await server.waiting('olga');
  }, 60_000);
  afterAll(async () => {
    await server.client.reject('fraud', { token: await sign(waiting.request, { action: 'reject' }), reason: 'no' });
    await server.client.retrainResult(waiting.workflowId);
    await server.atRest('fraud');
  }, 60_000);

  const refusals: readonly {
    readonly what: string;
    readonly why: (request: ApprovalRequest) => string;
    readonly token: (request: ApprovalRequest) => Promise<string>;
  }[] = [
    {
      what: 'for another version',
      why: ({ version }) => `version ${version} waits, not 99`,
      token: (request) => sign(request, { version: 99 }),
    },
    {
      what: 'for another rollout',
      why: ({ token }) => `rollout ${token} waits, not 77`,
      token: (request) => sign(request, { token: 77 }),
    },
    {
      what: 'on other evidence than was shown',
      why: () => 'the evidence is not what was shown: look at it again',
      token: (request) => sign(request, { evidence: 'e'.repeat(64) }),
    },
    {
      what: 'by the requester',
      why: () => 'olga asked for it and cannot approve it',
      token: (request) => sign(request, {}, { subject: 'olga' }),
    },
    {
      what: 'without the role',
      why: () => 'ada does not have the role approver',
      token: (request) => sign(request, {}, { role: 'viewer' }),
    },
    {
      what: 'that has expired',
      why: () => 'the token has expired',
      token: (request) => sign(request, {}, { nowMs: Date.now() - 3_600_000 }),
    },
    {
      what: 'with a signature of somebody else',
      why: () => 'the signature is not that of the issuer',
      token: async (request) => `${(await sign(request)).slice(0, -8)}AAAAAAAA`,
    },
  ];
  test.each(refusals)('$what is refused with its code, why, and what to do', async ({ why, token }) => {
    const { request, workflowId } = waiting;
    await expectRefused({ token: await token(request) }, { why: why(request) });
    // It waits on.
    expect((await server.lifecycle.retrainStatus(workflowId)).phase).toBe('approval');
  });

  test('without a signature is refused where there is an issuer', async () => {
    const { version, evidence } = waiting.request;
    await expectRefused({ by: 'ada', version, evidence }, { why: 'the answer must be a signed token' });
  });

  test('with a wrong field is refused before it is accepted', async () => {
    await expectRefused({ by: 'ada', version: '1' } as unknown as ApprovalAnswer, {
      code: 'INPUT_INVALID',
      why: 'an answer is {"token":"…"',
      isTraceless: true,
    });
  });

  test('on evidence that has changed since is refused, and may still be rejected', async () => {
    const { request } = waiting;
    const fence = { model: 'fraud', token: request.token };
    await server.registry.storeEvidence(fence, request.version, 'late', { ...PASSED, gate: 'late' });
    await expectRefused(
      { token: await sign(request) },
      { why: 'the evidence has changed since', said: 'the evidence' },
    );
  });
});

describe('an answer that was taken once', () => {
  test('is refused while its rollout still waits to hear of it, and by the next rollout', async () => {
    const first = await server.waiting('olga');
    const token = await sign(first.request);
    // The rollout cannot look its decision up: it stays where it is.
    server.failAt = 'approval/before-result';
    await server.client.approve('fraud', { token });
    const used = `has been used for rollout ${first.request.token}`;
    await expectRefused({ token }, { why: used, said: 'nothing waits for an approval' });
    await expectRefused(
      { token: await sign(first.request, {}, { subject: 'bob' }) },
      { why: `rollout ${first.request.token} was approved by ada`, said: 'nothing waits for an approval' },
    );
    server.failAt = null;
    expect(await server.client.retrainResult(first.workflowId)).toMatchObject({ outcome: 'promoted' });
    await server.atRest('fraud');

    await expectRefused({ token }, { why: 'fraud: nothing waits for an approval', isTraceless: true });
    const next = await server.waiting('olga');
    await expectRefused({ token }, { why: `rollout ${next.request.token} waits, not ${first.request.token}` });
    await server.client.reject('fraud', { token: await sign(next.request, { action: 'reject' }), reason: 'no' });
    await server.client.retrainResult(next.workflowId);
    await server.atRest('fraud');
  });
});
