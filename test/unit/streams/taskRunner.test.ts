import { expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import { groupId } from '../../../contracts/topics.js';
import type { GroupMember, TopicPartition } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import type { TaskContext } from '../../../streams/runtime/taskContext.js';
import { TopologyCounters } from '../../../streams/runtime/topologyCounters.js';
import { TaskRunner } from '../../../streams/runtime/taskRunner.js';
import { SnapshotShelf } from '../../../testing/simulation/snapshotShelf.js';
import { Scheduler } from '../../../testing/simulation/scheduler.js';
import { idleTopology as topology, onlyPartition } from '../../support/idleTopology.js';

/** A member that notes where it is told to read. */
class NotingMember implements GroupMember {
  readonly seeks: number[] = [];
  seekAndResume(_partition: TopicPartition, offset: number): void {
    this.seeks.push(offset);
  }
  pause(): void {
    // Nothing is delivered anyway.
  }
  resume(): void {
    // Nothing is delivered anyway.
  }
  confirmAssigned(): Promise<boolean> {
    return Promise.resolve(true);
  }
  commitOffsets(): Promise<void> {
    return Promise.resolve();
  }
  leave(): Promise<void> {
    return Promise.resolve();
  }
}

test('a task that is assigned again before its first record is there reads on from where it began', async () => {
  const scheduler = new Scheduler(0);
  const actor = { name: 'one', state: 'running' as const };
  const log = createMemoryLog({ clock: () => 0 });
  await log.ensureTopics([{ topic: onlyPartition.topic, partitions: 1 }]);
  // There is something to replay, which this member never gets.
  await (await log.producer()).send([{ ...onlyPartition, key: null, value: 'one' }]);
  await log.commitOffsets(groupId(topology.identity), [{ ...onlyPartition, offset: 1 }]);
  const fatal: unknown[] = [];
  const options: TaskContext['options'] = {
    log,
    instance: 'one',
    directory: 'one',
    clock: scheduler.clockOf(actor),
    openSnapshots: async (folder) => new SnapshotShelf(scheduler).open(actor, folder),
    onFatal: (error) => fatal.push(error),
  };
  const member = new NotingMember();
  const runner = new TaskRunner(
    {
      topology,
      options,
      id: 'only',
      partitions: [onlyPartition],
      owner: 'one/1',
      drift: null,
      counters: new TopologyCounters('unit'),
    },
    member,
    1,
  );
  await scheduler.rest();
  expect(member.seeks).toEqual([0]);
  // Everything is paused again until it is told where to read.
  runner.reassigned(2);
  expect(member.seeks).toEqual([0, 0]);
  await scheduler.until(runner.stop());
  expect(fatal).toEqual([]);
});

test('a task that waits to be confirmed by a group that is silent can be stopped', async () => {
  const scheduler = new Scheduler(0);
  const actor = { name: 'one', state: 'running' as const };
  const inner = createMemoryLog({ clock: () => 0 });
  await inner.ensureTopics([{ topic: onlyPartition.topic, partitions: 1 }]);
  const log = Object.assign(Object.create(inner) as typeof inner, {
    transactionalProducer: () => Promise.reject(new TidemillError('PRODUCER_FENCED', 'a successor took over')),
  });
  const member = new NotingMember();
  // No heartbeat is answered any more.
  member.confirmAssigned = () => new Promise(() => undefined);
  const fatal: unknown[] = [];
  const options: TaskContext['options'] = {
    log,
    instance: 'one',
    directory: 'one',
    clock: scheduler.clockOf(actor),
    openSnapshots: async (folder) => new SnapshotShelf(scheduler).open(actor, folder),
    onFatal: (error) => fatal.push(error),
  };
  const counters = new TopologyCounters('unit');
  const context = { topology, options, id: 'only', partitions: [onlyPartition], owner: 'one/1', drift: null, counters };
  const runner = new TaskRunner(context, member, 1);
  await scheduler.rest();
  // News of its inputs confirms nothing.
  runner.reconsider();
  await scheduler.rest();
  expect(runner.status.state).toBe('recovering');
  await scheduler.until(runner.stop());
  expect(runner.status.state).toBe('stopped');
  expect(fatal).toEqual([]);
});
