import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { LifecycleClient } from '../../../client/lifecycleClient.js';
import { lifecycleId, type RetrainStatus } from '../../../contracts/workflows.js';
import { RolloutServer } from '../../support/rolloutServer.js';

let server: RolloutServer;
let ask: LifecycleClient['acquireRollout'];
beforeAll(async () => {
  server = await RolloutServer.start();
  ask = server.lifecycle.acquireRollout.bind(server.lifecycle);
}, 120_000);
afterAll(() => server.stop());
let letAsk = (): void => undefined;
afterEach(() => {
  letAsk();
  server.lifecycle.acquireRollout = ask;
});

const phaseOf = async (workflowId: string): Promise<RetrainStatus['phase']> =>
  (await server.lifecycle.retrainStatus(workflowId)).phase;
async function retrain(): Promise<string> {
  return (await server.client.requestRetrain('fraud', { requestedBy: 'olga', allowNoInstances: true })).workflowId;
}
/** Waits until a rollout is in one of these phases. */
async function phase(workflowId: string, ...phases: readonly RetrainStatus['phase'][]): Promise<string> {
  for (;;) {
    const now = await phaseOf(workflowId);
    if (phases.includes(now)) return now;
    await sleep(50);
  }
}
/** Says no to whatever rolls out, once it asks. */
async function reject(): Promise<void> {
  for (;;) {
    const request = (await server.client.status('fraud')).retrain?.approval ?? null;
    if (request !== null) {
      const { version, evidence } = request;
      await server.client.reject('fraud', { by: 'ada', version, evidence, reason: 'no' });
      return;
    }
    await sleep(50);
  }
}

/** A rollout that waited, whose holder has closed, and which is kept from coming for the lease. */
async function called(): Promise<string> {
  const { workflowId: holder } = await server.waiting();
  const next = await retrain();
  await phase(next, 'queued');
  let isAsking = false;
  const held = new Promise<void>((resolve) => (letAsk = resolve));
  server.lifecycle.acquireRollout = async (model, asking) => {
    if (asking.workflowId === next) {
      isAsking = true;
      await held;
    }
    return ask(model, asking);
  };
  await reject();
  expect(await server.client.retrainResult(holder)).toMatchObject({ outcome: 'notPromoted' });
  while (!isAsking) await sleep(50);
  return next;
}

describe(
  'whoever asks after a rollout has closed, and before the one that waited has come',
  { timeout: 60_000 },
  () => {
    test('waits behind it', async () => {
      const next = await called();
      const late = await retrain();
      expect(await phase(late, 'queued', 'approval', 'done')).toBe('queued');
      letAsk();
      expect(await phase(next, 'approval', 'done')).toBe('approval');
      await reject();
      expect(await phase(late, 'approval', 'done')).toBe('approval');
      await reject();
      await server.atRest('fraud');
    });

    test('gets the lease where that one ends without coming', async () => {
      const next = await called();
      const late = await retrain();
      await phase(late, 'queued', 'approval', 'done');
      await server.lifecycle.temporal.workflow.getHandle(next).terminate('not any more');
      expect(await phase(late, 'approval', 'done')).toBe('approval');
      await reject();
      await server.atRest('fraud');
    });

    test('comes after a rollback, as does the one that waited', async () => {
      const next = await called();
      const { lifecycle, registry } = server;
      // A rollback that has begun and takes its time: any workflow that runs stands for it.
      const workflowId = lifecycleId(server.project, 'fraud');
      const intent = { from: 2, to: 1, reason: 'blocks good customers' };
      await lifecycle.rollbackBegun('fraud', { workflowId, intent });
      const before = (await registry.newestRollout('fraud'))?.token;
      letAsk();
      while (!(await isAnsweredTwice(next))) await sleep(50);
      expect(await phaseOf(next)).toBe('queued');
      expect((await registry.newestRollout('fraud'))?.token).toBe(before);
      await lifecycle.rolloutClosed('fraud', { workflowId, outcome: 'rolled back', at: null });
      expect(await phase(next, 'approval', 'done')).toBe('approval');
      await reject();
      await server.atRest('fraud');
    });
  },
);

/** Has it asked for the lease twice, and been answered? */
async function isAnsweredTwice(workflowId: string): Promise<boolean> {
  const { events } = await server.lifecycle.temporal.workflow.getHandle(workflowId).fetchHistory();
  const scheduled = (events ?? []).filter(
    (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'acquireRollout',
  );
  const ids = scheduled.map(({ eventId }) => String(eventId));
  const completed = (events ?? []).filter((event) =>
    ids.includes(String(event.activityTaskCompletedEventAttributes?.scheduledEventId)),
  );
  return completed.length >= 2;
}
