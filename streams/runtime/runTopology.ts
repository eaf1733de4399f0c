import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import { deadLetterTopic, groupId, type TopologyIdentity } from '../../contracts/topics.js';
import type { Assignment, GroupMember, TopicPartition } from '../../stores/log/log.js';
import { DriftWatch } from './drift.js';
import type { RuntimeOptions, TaskContext } from './taskContext.js';
import { TaskRunner } from './taskRunner.js';
import type { TaskStatus } from './taskStatus.js';
import type { Topology } from './topology.js';
import { TopologyCounters } from './topologyCounters.js';

export interface RunningTopology {
  readonly identity: TopologyIdentity;
  readonly status: readonly TaskStatus[];
  readonly counters: TopologyCounters;
  /** Has the group assigned something, if only nothing? Before that nobody knows what this process is to do. */
  readonly isAssigned: boolean;
  /** Drains, commits, snapshots and leaves the group. */
  stop(): Promise<void>;
}

/**
 * Runs the tasks of a topology that the group assigns to this process.
 *
 * On every assignment: 1 tasks that went elsewhere are released; 2 tasks that stay read on where they were, with their
 * state and producer; 3 new tasks start with a recovery.
 *
 * @throws TidemillError LOG_UNAVAILABLE, TOPIC_MISMATCH, STREAM_NOT_FOUND
 */
export async function runTopology(topology: Topology, options: RuntimeOptions): Promise<RunningTopology> {
  await ensureTopics(topology, options);
  const owner = `${options.instance}/${randomUUID()}`;
  const counters = options.counters ?? new TopologyCounters(topology.identity.project);
  const runners = new Map<string, TaskRunner>();
  const releasing = new Map<string, Promise<void>>();
  const wakeAll = (): void => {
    for (const runner of runners.values()) runner.reconsider();
  };
  const unread = (error: unknown): void => options.onEvent?.({ kind: 'standingsUnread', reason: messageOf(error) });
  const drift = topology.drift === undefined ? null : new DriftWatch(options.log, topology.drift, wakeAll, unread);
  let member: GroupMember | null = null;
  let early: Assignment | null = null;
  let stopped = false;
  let isAssigned = false;
  /** Of the newest assignment. */
  let epoch = 0;

  const assign = (assignment: Assignment): void => {
    if (member === null) {
      early = assignment;
      return;
    }
    if (stopped) return;
    isAssigned = true;
    ({ epoch } = assignment);
    const partitionsOf = new Map<string, TopicPartition[]>();
    for (const partition of assignment.partitions) {
      const task = topology.taskOf(partition);
      partitionsOf.set(task, [...(partitionsOf.get(task) ?? []), partition]);
    }
    for (const [id, partitions] of partitionsOf) {
      if (topology.isWhole?.(partitions) !== false) continue;
      // Assigned by a member that runs another plan: it is run once the group agrees.
      partitionsOf.delete(id);
      options.onEvent?.({ kind: 'incomplete', task: id });
    }
    // 1 gone
    for (const [id, runner] of runners) {
      if (partitionsOf.has(id)) continue;
      runners.delete(id);
      releasing.set(
        id,
        runner.release().finally(() => releasing.delete(id)),
      );
    }
    for (const [id, partitions] of partitionsOf) {
      const known = runners.get(id);
      // 2 stays
      if (known !== undefined) {
        known.reassigned(assignment.epoch);
        continue;
      }
      // 3 new; its folder may still be closing from an earlier assignment
      const context: TaskContext = { topology, options, id, partitions, owner, drift, counters };
      const start = (holder: GroupMember): void => {
        // While its folder was closing the task may have gone elsewhere, and come back by an assignment that starts it itself.
        if (!stopped && epoch === assignment.epoch && !runners.has(id))
          runners.set(id, new TaskRunner(context, holder, assignment.epoch));
      };
      const closing = releasing.get(id);
      const holder = member;
      if (closing === undefined) start(holder);
      else void closing.then(() => start(holder), options.onFatal);
    }
  };

  const joining = options.log.join({
    group: groupId(topology.identity),
    topics: topology.sources.map(({ topic }) => topic),
    memberName: options.instance,
    memberDirectory: join(options.directory, 'members'),
    taskOf: (partition) => topology.taskOf(partition),
    ...(options.address === undefined ? {} : { address: options.address }),
    ...(options.sessionTimeoutMs === undefined ? {} : { sessionTimeoutMs: options.sessionTimeoutMs }),
    onAssigned: assign,
    onRecords: (records, epoch) => {
      const [first] = records;
      if (first !== undefined) runners.get(topology.taskOf(first))?.enqueue(records, epoch);
    },
    onPosition: (partition, position, highWatermark, epoch) =>
      runners.get(topology.taskOf(partition))?.advance(partition, position, highWatermark, epoch),
    onError: options.onFatal,
  });
  try {
    member = await joining;
  } catch (error) {
    await drift?.stop();
    throw error;
  }
  if (early !== null) assign(early);

  const joined = member;
  return {
    identity: topology.identity,
    counters,
    get isAssigned() {
      return isAssigned;
    },
    get status() {
      return [...runners.values()].map(({ status }) => status);
    },
    stop: async () => {
      stopped = true;
      await Promise.all([...[...runners.values()].map((runner) => runner.stop()), ...releasing.values()]);
      await joined.leave();
      await drift?.stop();
    },
  };
}

/** Sources are the users' own and must exist; what the topology writes is created. */
async function ensureTopics({ sources, outputs, identity }: Topology, { log }: RuntimeOptions): Promise<void> {
  const [first] = sources;
  let partitions = outputs[0]?.partitions ?? 1;
  for (const { topic } of sources) {
    if (outputs.some((output) => output.topic === topic)) continue;
    const count = await log.partitionCount(topic);
    if (count === null) {
      throw new TidemillError('STREAM_NOT_FOUND', `topic ${topic} does not exist`, { topic });
    }
    if (topic === first?.topic) partitions = count;
  }
  await log.ensureTopics([...outputs, { topic: deadLetterTopic(identity.project), partitions }]);
}
