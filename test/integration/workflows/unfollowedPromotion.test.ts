import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { RolloutServer } from '../../support/rolloutServer.js';

let server: RolloutServer;
beforeAll(async () => {
  server = await RolloutServer.start();
}, 120_000);
afterAll(() => server.stop());

/** How an instance says that it stands. */
const renew = (
  model: string,
  instance: string,
  epochs: { activeEpoch: number; refusedEpoch?: number },
): Promise<void> =>
  server.registry.renewInstance(
    { instance, kind: 'stream', models: [model], readyEpoch: 1_000, breaker: 'closed', problem: null, ...epochs },
    600_000,
  );

/** Promotes version 1 with nobody live, and then version 2, whose epoch some instances follow and others refuse for good. */
async function promote(model: string, follows: readonly string[], refuses: readonly string[]) {
  const { client, registry } = server;
  const first = await client.requestRetrain(model, { reason: 'test', allowNoInstances: true });
  expect(await client.retrainResult(first.workflowId)).toMatchObject({ outcome: 'promoted', version: 1 });
  for (const instance of [...follows, ...refuses]) await renew(model, instance, { activeEpoch: 1_000 });
  server.failAt = 'commit/after-effect';
  const { workflowId } = await client.requestRetrain(model, { reason: 'test' });
  while ((await registry.deployment(model))?.champion !== 2) await sleep(50);
  const { epoch } = (await registry.deployment(model)) as { epoch: number };
  for (const instance of refuses) await renew(model, instance, { activeEpoch: epoch - 1, refusedEpoch: epoch });
  server.failAt = null;
  // What takes it back they follow again.
  while ((await registry.deployment(model))?.epoch === epoch) await sleep(50);
  for (const instance of refuses) await renew(model, instance, { activeEpoch: 1_000 });
  const result = await client.retrainResult(workflowId);
  await server.atRest(model);
  return { result, champion: (await registry.deployment(model))?.champion ?? null };
}

describe('a promotion that not every instance follows', { timeout: 60_000 }, () => {
  test('is baked all the same, and taken back where that speaks against it', async () => {
    const { result, champion } = await promote('baked', ['one'], ['two']);
    expect(result).toMatchObject({ outcome: 'rolledBack', version: 2, to: 1, reason: 'bake: errors' });
    expect(champion).toBe(1);
  });

  test('is taken back where fewer follow than must', async () => {
    const { result, champion } = await promote('automatic', [], ['three']);
    expect(result).toMatchObject({ outcome: 'rolledBack', version: 2, to: 1 });
    expect((result as { reason: string }).reason).toMatch(/^commit: .*epoch \d+ is not followed by three/);
    expect(champion).toBe(1);
  });
});
