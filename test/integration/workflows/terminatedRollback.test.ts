import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { RolloutServer } from '../../support/rolloutServer.js';

const MODEL = 'automatic';

let server: RolloutServer;
beforeAll(async () => {
  server = await RolloutServer.start();
  await promote();
  await promote();
}, 120_000);
afterAll(() => server.stop());
afterEach(async () => {
  server.failAt = null;
  await server.atRest(MODEL);
});

async function promote(): Promise<number> {
  const { workflowId } = await server.client.requestRetrain(MODEL, { reason: 'test', allowNoInstances: true });
  const result = await server.client.retrainResult(workflowId);
  await server.atRest(MODEL);
  if (result.outcome !== 'promoted') throw new Error(JSON.stringify(result));
  return result.version;
}
const champion = async (): Promise<number | null> => (await server.registry.deployment(MODEL))?.champion ?? null;

/** Waits until a rollback has come to where it is held: a rollout of its own, in that phase. */
async function held(phase: string): Promise<void> {
  for (;;) {
    const newest = await server.registry.newestRollout(MODEL);
    if (newest?.trigger === 'rollback' && newest.closedAt === null && newest.phase === phase) return;
    await sleep(50);
  }
}

test.each([
  ['lease/before-intent', 'lease'],
  ['rollback/after-intent', 'rollback'],
  ['rollback/after-effect', 'rollback'],
])(
  'a rollback that somebody terminates at %s is finished by the lifecycle',
  { timeout: 60_000 },
  async (point, phase) => {
    const before = await champion();
    const version = await promote();
    server.failAt = point;
    const rollback = await server.client.startRollback(MODEL, { reason: 'blocks good customers' });
    await held(phase);
    await server.client.status(MODEL).then(({ rollbacks }) => expect(rollbacks).toEqual([rollback]));
    await server.lifecycle.temporal.workflow.getHandle(rollback).terminate('a mistake');
    server.failAt = null;
    await server.atRest(MODEL);
    expect(await champion()).toBe(before);
    expect(await server.registry.version(MODEL, version)).toMatchObject({
      status: 'withdrawn',
      reason: 'blocks good customers',
    });
    expect(await server.registry.newestRollout(MODEL)).toMatchObject({
      trigger: 'rollback',
      outcome: `rolled back to version ${before}`,
    });
  },
);

test(
  'a retrain that is asked for during a rollback waits for its end, and fences nothing',
  { timeout: 60_000 },
  async () => {
    const before = await champion();
    await promote();
    server.failAt = 'rollback/after-intent';
    const rollback = await server.client.startRollback(MODEL, { reason: 'blocks good customers' });
    await held('rollback');
    const { workflowId } = await server.client.requestRetrain(MODEL, { reason: 'at once', allowNoInstances: true });
    while ((await server.lifecycle.retrainStatus(workflowId)).phase !== 'queued') await sleep(50);
    expect((await server.client.status(MODEL)).queued?.workflowId).toBe(workflowId);
    server.failAt = null;
    expect(await server.client.rollbackResult(rollback)).toMatchObject({ outcome: 'rolledBack', to: before });
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
  },
);
