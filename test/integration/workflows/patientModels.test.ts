import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RolloutServer } from '../../support/rolloutServer.js';

const PATIENT = ['patient-1', 'patient-2', 'patient-3'];
/** Fewer than the models that wait; each waits for its evidence, and its lifecycle for the end of its rollout. */
const SLOTS = { steps: 2 };

let server: RolloutServer;
const rollouts = new Map<string, string>();
beforeAll(async () => {
  server = await RolloutServer.start({ slots: SLOTS });
  const follows = { readyEpoch: 1_000, activeEpoch: 1_000, breaker: 'closed', problem: null } as const;
  await server.registry.renewInstance({ instance: 'one', kind: 'stream', models: PATIENT, ...follows }, 600_000);
}, 120_000);
afterAll(() => server.stop());

async function promote(model: string): Promise<void> {
  const { workflowId } = await server.client.requestRetrain(model, { reason: 'test', allowNoInstances: true });
  expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
  await server.atRest(model);
}

describe('while more models wait for evidence than there are slots for steps', { timeout: 90_000 }, () => {
  beforeAll(async () => {
    await promote('automatic');
    await promote('automatic');
    for (const model of PATIENT)
      rollouts.set(model, (await server.client.requestRetrain(model, { reason: 'test' })).workflowId);
    while (server.watched.size < PATIENT.length) await sleep(50);
  }, 90_000);

  test('a rollback goes through', async () => {
    expect(await server.client.rollback('automatic', { reason: 'blocks good customers' })).toMatchObject({
      outcome: 'rolledBack',
      from: 2,
      to: 1,
    });
    await server.atRest('automatic');
  });

  test('a rollout gets its lease, and its approval is heard', async () => {
    const { workflowId, request } = await server.waiting();
    await server.client.approve('fraud', { by: 'ada', version: request.version, evidence: request.evidence });
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
    await server.atRest('fraud');
  });

  test('those that wait can be cancelled, and are undone', async () => {
    for (const [model, workflowId] of rollouts) {
      expect((await server.lifecycle.retrainStatus(workflowId)).phase).toBe('shadow');
      await server.lifecycle.temporal.workflow.getHandle(workflowId).cancel();
      expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'notPromoted' });
      await server.atRest(model);
    }
  });
});
