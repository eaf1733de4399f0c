import { expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import { SnapshotWriter } from '../../../streams/runtime/snapshotWriter.js';
import type { TaskContext } from '../../../streams/runtime/taskContext.js';
import { Scheduler } from '../../../testing/simulation/scheduler.js';
import { SnapshotShelf } from '../../../testing/simulation/snapshotShelf.js';
import { idleTopology, onlyPartition } from '../../support/idleTopology.js';

test('after a snapshot that was not written none is: it would lack what changed before', async () => {
  const scheduler = new Scheduler(0);
  const actor = { name: 'one', state: 'running' as const };
  const shelf = new SnapshotShelf(scheduler).open(actor, 'one');
  await scheduler.until(shelf.claim('one/1', 'nothing/1'));
  let isFull = true;
  const changed = [{ key: Buffer.from('a'), value: Buffer.from('1') }];
  const task = {
    ...idleTopology.createTask('only', [onlyPartition]),
    // What changed since the last call.
    snapshot: () => changed.splice(0),
  };
  const snapshots = {
    ...shelf,
    write: (...written: Parameters<typeof shelf.write>) =>
      isFull ? Promise.reject(new TidemillError('DISK_FULL', 'no room is left')) : shelf.write(...written),
  };
  const context = { id: 'only', owner: 'one/1', options: {} } as TaskContext;
  const writer = new SnapshotWriter(context, { task, snapshots, objects: null }, scheduler.clockOf(actor), 0);
  writer.afterCommit(new Map([['p.payments-0', 1]]));
  // There is room again, for the few that changed since.
  isFull = false;
  changed.push({ key: Buffer.from('b'), value: Buffer.from('2') });
  await expect(scheduler.until(writer.finish(new Map([['p.payments-0', 2]])))).rejects.toMatchObject({
    code: 'DISK_FULL',
  });
  expect(shelf.header()?.offsets).toBeNull();
  expect([...shelf.entries()]).toEqual([]);
});
