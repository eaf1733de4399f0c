import { groupId } from '../../contracts/topics.js';
import type { GroupMember, Log, TopicPartition } from '../../stores/log/log.js';
import { createMemoryLog } from '../../stores/log/memoryLog.js';
import { TaskRunner } from '../../streams/runtime/taskRunner.js';
import { TopologyCounters } from '../../streams/runtime/topologyCounters.js';
import { Scheduler } from '../../testing/simulation/scheduler.js';
import { SnapshotShelf } from '../../testing/simulation/snapshotShelf.js';
import { idleTopology as topology, onlyPartition } from './idleTopology.js';

/** A member that notes where it is told to read. */
export class NotingMember implements GroupMember {
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

export interface StartedRunner {
  readonly scheduler: Scheduler;
  readonly runner: TaskRunner;
  /** What the runner could not go on after. */
  readonly fatal: readonly unknown[];
}

/** Whether there is something to replay, which the member never gets. */
export async function logOfOne(records: 0 | 1): Promise<Log> {
  const log = createMemoryLog({ clock: () => 0 });
  await log.ensureTopics([{ topic: onlyPartition.topic, partitions: 1 }]);
  if (records === 0) return log;
  await (await log.producer()).send([{ ...onlyPartition, key: null, value: 'one' }]);
  await log.commitOffsets(groupId(topology.identity), [{ ...onlyPartition, offset: 1 }]);
  return log;
}

/** The task of a topology with one partition, started, and at rest. */
export async function startedRunner(log: Log, member: GroupMember): Promise<StartedRunner> {
  const scheduler = new Scheduler(0);
  const actor = { name: 'one', state: 'running' as const };
  const fatal: unknown[] = [];
  const runner = new TaskRunner(
    {
      topology,
      options: {
        log,
        instance: 'one',
        directory: 'one',
        clock: scheduler.clockOf(actor),
        openSnapshots: async (folder) => new SnapshotShelf(scheduler).open(actor, folder),
        onFatal: (error) => fatal.push(error),
      },
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
  return { scheduler, runner, fatal };
}
