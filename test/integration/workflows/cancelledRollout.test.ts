import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { SIGNAL_APPROVAL } from '../../../contracts/rollout.js';
import { RolloutServer } from '../../support/rolloutServer.js';

let server: RolloutServer;
beforeAll(async () => {
  server = await RolloutServer.start();
}, 120_000);
afterAll(() => server.stop());
afterEach(() => {
  server.failAt = null;
});

/** Starts a retrain whose attempts end at a point, and waits until it is there. */
async function heldAt(point: string, model: string, allowNoInstances = true): Promise<string> {
  const before = (await server.registry.newestRollout(model))?.token ?? 0;
  server.failAt = point;
  const { workflowId } = await server.client.requestRetrain(model, { reason: 'test', allowNoInstances });
  for (;;) {
    const newest = await server.registry.newestRollout(model);
    const [step] = point.split('/');
    const journal = newest === null ? [] : await server.registry.journal(model, newest.token);
    if (newest !== null && newest.token > before && journal.some((entry) => entry.step === step)) return workflowId;
    await sleep(50);
  }
}
async function cancel(workflowId: string): Promise<void> {
  const handle = server.lifecycle.temporal.workflow.getHandle(workflowId);
  await handle.cancel();
  const isAsked = async (): Promise<boolean> =>
    (await handle.fetchHistory()).events?.some((each) => each.workflowExecutionCancelRequestedEventAttributes) === true;
  while (!(await isAsked())) await sleep(50);
}
const champion = async (model: string): Promise<number | null> =>
  (await server.registry.deployment(model))?.champion ?? null;

describe('a retrain that is cancelled', { timeout: 60_000 }, () => {
  test('in the midst of its commit has promoted its version', async () => {
    const workflowId = await heldAt('commit/after-effect', 'automatic');
    await cancel(workflowId);
    server.failAt = null;
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted', version: 1 });
    await server.atRest('automatic');
    expect(await champion('automatic')).toBe(1);
    expect((await server.registry.newestRollout('automatic'))?.outcome).toBe('promoted');
  });

  test('while its evidence takes the version back is taken back all the same', async () => {
    const first = await server.client.requestRetrain('baked', { reason: 'test', allowNoInstances: true });
    expect(await server.client.retrainResult(first.workflowId)).toMatchObject({ outcome: 'promoted', version: 1 });
    const follows = { readyEpoch: 1_000, activeEpoch: 1_000, breaker: 'closed', problem: null } as const;
    await server.registry.renewInstance({ instance: 'one', kind: 'stream', models: ['baked'], ...follows }, 600_000);
    const workflowId = await heldAt('takeBack/after-intent', 'baked', false);
    expect(await champion('baked')).toBe(2);
    await cancel(workflowId);
    server.failAt = null;
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'rolledBack', version: 2, to: 1 });
    await server.atRest('baked');
    expect(await champion('baked')).toBe(1);
    expect(await server.registry.version('baked', 2)).toMatchObject({ status: 'withdrawn', reason: 'bake: errors' });
  });
});

test('an approval counts that comes while a forged one is being looked at', { timeout: 60_000 }, async () => {
  const { workflowId, request } = await server.waiting();
  const { registry } = server;
  const look = registry.approval.bind(registry);
  let isLooking = false;
  let answerForged = (): void => undefined;
  const held = new Promise<void>((resolve) => (answerForged = resolve));
  registry.approval = async (model, token) => {
    registry.approval = look;
    const found = await look(model, token);
    isLooking = true;
    await held;
    return found;
  };
  const forged = { approved: true, by: 'mallory', identity: 'verified', reason: '' };
  await server.lifecycle.temporal.workflow.getHandle(workflowId).signal(SIGNAL_APPROVAL, forged);
  while (!isLooking) await sleep(50);
  const { version, evidence } = request;
  await server.client.approve('fraud', { by: 'ann', version, evidence });
  answerForged();
  expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
  await server.atRest('fraud');
});

test('a retrain that waits is refused where another one supersedes its holder', { timeout: 60_000 }, async () => {
  const holder = await server.waiting();
  const ask = { reason: 'test', allowNoInstances: true };
  const { workflowId: waits } = await server.client.requestRetrain('fraud', ask);
  while ((await server.lifecycle.retrainStatus(waits)).phase !== 'queued') await sleep(50);
  const { workflowId: next } = await server.client.requestRetrain('fraud', { ...ask, supersede: true });
  expect(await server.client.retrainResult(holder.workflowId)).toMatchObject({ outcome: 'notPromoted' });
  expect(await server.client.retrainResult(waits)).toEqual({ outcome: 'refused', reason: `${next} took its place` });
  while ((await server.lifecycle.retrainStatus(next)).approval === null) await sleep(50);
  await server.lifecycle.temporal.workflow.getHandle(next).cancel();
  await server.atRest('fraud');
});
