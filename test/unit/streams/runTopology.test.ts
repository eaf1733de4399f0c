import { beforeEach, describe, expect, test } from 'vitest';
import type { ConsumerGroupOptions, GroupMember, Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import { Scheduler } from '../../../testing/simulation/scheduler.js';
import { SnapshotShelf } from '../../../testing/simulation/snapshotShelf.js';
import { idleTopology, onlyPartition } from '../../support/idleTopology.js';

const member: GroupMember = {
  seekAndResume: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
  confirmAssigned: () => Promise.resolve(true),
  commitOffsets: () => Promise.resolve(),
  leave: () => Promise.resolve(),
};

describe('a task that was given away and whose folder is still closing', () => {
  let scheduler: Scheduler;
  let group: ConsumerGroupOptions;
  let running: RunningTopology;
  let folderClosed: () => void;
  /** An assignment with the task, or without it. */
  const assign = (epoch: number, isOurs: boolean): void =>
    group.onAssigned({ epoch, partitions: isOurs ? [onlyPartition] : [] });

  beforeEach(async () => {
    scheduler = new Scheduler(0);
    const actor = { name: 'one', state: 'running' as const };
    const inner = createMemoryLog({ clock: () => 0 });
    await inner.ensureTopics([{ topic: onlyPartition.topic, partitions: 1 }]);
    const closing = new Promise<void>((resolve) => (folderClosed = resolve));
    const join = async (options: ConsumerGroupOptions): Promise<GroupMember> => {
      group = options;
      return member;
    };
    const groupMembers: Log['groupMembers'] = async () => [
      { name: 'one', host: 'here', address: null, partitions: [onlyPartition] },
    ];
    running = await runTopology(idleTopology, {
      log: Object.assign(Object.create(inner) as Log, { join, groupMembers }),
      instance: 'one',
      directory: 'one',
      commitIntervalMs: 0,
      clock: scheduler.clockOf(actor),
      openSnapshots: async (folder) => ({ ...new SnapshotShelf(scheduler).open(actor, folder), close: () => closing }),
      onFatal: (error) => {
        throw error;
      },
    });
    assign(1, true);
    await scheduler.rest();
    assign(2, false);
  });

  test('is started by the assignment that holds, and hears of its records', async () => {
    assign(3, true);
    assign(4, true);
    folderClosed();
    await scheduler.rest();
    const record = { ...onlyPartition, offset: 0, timestamp: 0, key: null, value: null, headers: {} };
    group.onRecords([record], 4);
    group.onPosition(onlyPartition, 1, 1, 4);
    await scheduler.rest();
    expect(running.status).toMatchObject([{ task: 'only', state: 'live', offsets: { 'p.payments-0': 1 } }]);
  });

  test('is not started where it has gone elsewhere since', async () => {
    assign(3, true);
    assign(4, false);
    folderClosed();
    await scheduler.rest();
    expect(running.status).toEqual([]);
  });
});
