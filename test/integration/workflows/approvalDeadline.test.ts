import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ApprovalDecision, ApprovalRequest } from '../../../contracts/rollout.js';
import type { RetrainResult } from '../../../contracts/workflows.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { builtBundle } from '../../support/lifecycleWorkers.js';
import { RolloutServer } from '../../support/rolloutServer.js';

const DECISION: ApprovalDecision = { approved: true, by: 'ada', identity: 'unverified', reason: 'looks right' };

/** The workflows as they are built, with a deadline that a test can wait for. */
async function impatientBundle(): Promise<{ readonly code: string }> {
  const built = await readFile(builtBundle.codePath, 'utf8');
  const code = built.replace(/const APPROVAL_DEADLINE_MS = [^;]+;/, 'const APPROVAL_DEADLINE_MS = 1000;');
  if (code === built) throw new Error('the bundle names no deadline');
  return { code };
}

let server: RolloutServer;
let journalIntent: Registry['journalIntent'];
beforeAll(async () => {
  server = await RolloutServer.start({ workflowBundle: await impatientBundle() });
  journalIntent = server.registry.journalIntent.bind(server.registry);
}, 120_000);
afterAll(() => server.stop());

/** A rollout to whose approval something happens as soon as it is asked for. */
async function rolloutOf(onRequest: (request: ApprovalRequest) => Promise<unknown>): Promise<RetrainResult> {
  server.registry.journalIntent = async (fence, step, intent) => {
    await journalIntent(fence, step, intent);
    if (step === 'approval') await onRequest(intent as ApprovalRequest);
  };
  const { workflowId } = await server.client.requestRetrain('fraud', { requestedBy: 'olga', allowNoInstances: true });
  const result = await server.client.retrainResult(workflowId);
  await server.atRest('fraud');
  return result;
}

test('a decision that stands in the registry counts, though the rollout never heard of it', async () => {
  const result = await rolloutOf(({ model, token }) =>
    server.registry.consumeApproval(
      { model, token },
      { jti: null, usedBy: 'a lifecycle that was killed before it told', decision: DECISION, evidence: {} },
    ),
  );
  expect(result).toMatchObject({ outcome: 'promoted', version: 1 });
  expect((await server.registry.deployment('fraud'))?.champion).toBe(1);
});

test('without one nothing is promoted, and nobody can approve it any more', async () => {
  const result = await rolloutOf(() => Promise.resolve());
  expect(result).toMatchObject({ outcome: 'notPromoted', version: 2, reason: 'nobody approved within 7 days' });
  expect((await server.registry.deployment('fraud'))?.champion).toBe(1);
  const journal = await server.registry.journal('fraud', result.outcome === 'notPromoted' ? result.token : 0);
  expect(journal.find(({ step }) => step === 'approval')?.result).toEqual({ expired: true });
});
