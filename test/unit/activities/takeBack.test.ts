import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Fence, Registry } from '../../../stores/registry/registry.js';
import { RolledOut } from '../../support/rolledOut.js';

let world: RolledOut;
let registry: Registry;
/** Version 1 was promoted, and then version 2, whose rollout is still open. */
let fence: Fence;
beforeEach(async () => {
  world = await RolledOut.open();
  ({ registry } = world);
  await world.promote(1);
  fence = await world.promote(2);
});
afterEach(() => world.close());

describe('taking a promotion back', () => {
  test('is done where an instance does not follow: it says by itself what it lacks', async () => {
    const epoch = ((await registry.deployment('fraud'))?.epoch ?? 0) + 1;
    await registry.renewInstance(
      {
        instance: 'two',
        kind: 'stream',
        models: ['fraud'],
        readyEpoch: epoch - 1,
        activeEpoch: epoch - 1,
        breaker: 'closed',
        refusedEpoch: epoch,
        problem: 'version 1 is no model',
      },
      60_000,
    );
    await world.run(() => world.activities().takeBack(fence, 2, 1, 'probation: worse'));
    expect(await registry.deployment('fraud')).toMatchObject({ champion: 1, epoch });
    expect((await registry.version('fraud', 2))?.status).toBe('withdrawn');
    const entry = (await registry.journal('fraud', fence.token)).find(({ step }) => step === 'takeBack');
    expect(entry?.result).toMatchObject({ epoch, behind: ['two (version 1 is no model)'] });
  });

  test('is what a rollback finds done, where its workflow ended in the midst of it, too', async () => {
    // Version 3 after version 2, so that there is a former champion to go back to beyond it.
    await registry.closeRollout(fence, 'promoted');
    fence = await world.promote(3);
    const reach = (point: string): void => {
      if (point === 'takeBack/after-effect') throw new Error('died');
    };
    await expect(world.run(() => world.activities(reach).takeBack(fence, 3, 2, 'probation: worse'))).rejects.toThrow(
      'died',
    );

    const opened = await world.run(() =>
      world.activities().openRecovery({ model: 'fraud', workflowId: 'rollout-3' }, 'recovery'),
    );
    expect(opened?.committed).toBeNull();
    const recovery = opened?.fence as Fence;
    await world.run(() => world.activities().compensateRollout(recovery, 'terminated', opened?.of));
    await registry.closeRollout(recovery, 'compensated');
    expect((await registry.version('fraud', 3))?.status).toBe('withdrawn');

    const back = await world.run(() => world.activities().rollBack({ model: 'fraud', reason: 'worse' }, 'rollback'));
    expect(back).toEqual({ outcome: 'alreadyRolledBack', to: 2 });
    expect((await registry.deployment('fraud'))?.champion).toBe(2);
  });
});
