import type { PartitionAssigner } from 'kafkajs';
import { AssignerProtocol } from './kafkajs/kafkajs.js';
import type { TopicPartition } from './log.js';

/** What a member tells the group's leader about itself. */
interface MemberData {
  readonly name: string;
  readonly tasks: readonly string[];
  /** HOST:PORT where it answers about itself. */
  readonly address?: string;
}

/**
 * Assigns whole tasks: all partitions of one task go to one member (co-partitioning), a member keeps the tasks that it
 * has as long as its share allows (sticky), and shares differ by one task at most. While members read different topics,
 * as in a rolling change of what is computed, a task goes only to a member that reads all of its topics.
 *
 * @example tasks a, b, c, d; member 1 holds a, b, c; member 2 joins: quota 2 and 2, so member 1 keeps a, b and member 2
 * gets c, d.
 */
export function taskAssigner(
  name: string,
  heldTasks: () => readonly string[],
  taskOf: (partition: TopicPartition) => string,
  address?: string,
): PartitionAssigner {
  return ({ cluster }) => ({
    name: 'TidemillTaskAssigner',
    version: 1,
    protocol: ({ topics }) => ({
      name: 'TidemillTaskAssigner',
      metadata: AssignerProtocol.MemberMetadata.encode({
        version: 1,
        topics,
        userData: Buffer.from(
          JSON.stringify({
            name,
            tasks: heldTasks(),
            ...(address === undefined ? {} : { address }),
          } satisfies MemberData),
        ),
      }),
    }),
    assign: async ({ members, topics }) => {
      const partitionsOf = new Map<string, TopicPartition[]>();
      for (const topic of topics) {
        for (const { partitionId } of cluster.findTopicPartitionMetadata(topic)) {
          const place = { topic, partition: partitionId };
          const task = taskOf(place);
          partitionsOf.set(task, [...(partitionsOf.get(task) ?? []), place]);
        }
      }
      const data = members.map(({ memberId, memberMetadata }) => ({ memberId, ...memberDataOf(memberMetadata) }));
      const byMember = assignTasks([...partitionsOf.keys()], data, ({ topics: known }, task) =>
        (partitionsOf.get(task) ?? []).every(({ topic }) => known.has(topic)),
      );
      return data.map(({ memberId }) => {
        const assignment: Record<string, number[]> = {};
        for (const task of byMember.get(memberId) ?? []) {
          for (const { topic, partition } of partitionsOf.get(task) ?? []) (assignment[topic] ??= []).push(partition);
        }
        return {
          memberId,
          memberAssignment: AssignerProtocol.MemberAssignment.encode({
            version: 1,
            assignment,
            userData: Buffer.alloc(0),
          }),
        };
      });
    },
  });
}

/** What a member says about itself, and the topics that it reads; empty where it says nothing. */
export function memberDataOf(metadata: Buffer): MemberData & { readonly topics: ReadonlySet<string> } {
  const decoded = metadata.length === 0 ? null : AssignerProtocol.MemberMetadata.decode(metadata);
  const topics = new Set(decoded?.topics ?? []);
  if (decoded === null || decoded.userData.length === 0) return { name: '', tasks: [], topics };
  return { ...(JSON.parse(decoded.userData.toString()) as MemberData), topics };
}

/** The partitions that a member was assigned. */
export function assignedPartitionsOf(assignment: Buffer): TopicPartition[] {
  const decoded = assignment.length === 0 ? null : AssignerProtocol.MemberAssignment.decode(assignment);
  return Object.entries(decoded?.assignment ?? {}).flatMap(([topic, partitions]) =>
    partitions.map((partition) => ({ topic, partition })),
  );
}

/** A member as far as the assignment goes. */
export interface AssignedMember {
  readonly memberId: string;
  readonly name: string;
  /** What it holds. */
  readonly tasks: readonly string[];
}

/**
 * The pure part: tasks to members; see taskAssigner.
 *
 * @param mayRun can the member run the task? @default always
 */
export function assignTasks<Member extends AssignedMember>(
  tasks: readonly string[],
  members: readonly Member[],
  mayRun: (member: Member, task: string) => boolean = () => true,
): Map<string, string[]> {
  if (!members.every((member) => tasks.every((task) => mayRun(member, task))))
    return assignMixed(tasks, members, mayRun);
  const ordered = [...members].sort((a, b) => compareText(a.name, b.name) || compareText(a.memberId, b.memberId));
  const free = new Set([...tasks].sort(compareText));
  const least = Math.floor(free.size / ordered.length);
  let larger = free.size % ordered.length;
  const result = new Map<string, string[]>(ordered.map(({ memberId }) => [memberId, []]));
  // Who holds most goes first, so that the larger shares stay where tasks already are.
  const byHeld = [...ordered].sort((a, b) => b.tasks.length - a.tasks.length);
  const quotas = new Map<string, number>();
  for (const member of byHeld) quotas.set(member.memberId, least + (larger-- > 0 ? 1 : 0));
  for (const { memberId, tasks: held } of byHeld) {
    const kept = result.get(memberId) as string[];
    for (const task of held) {
      if (kept.length < (quotas.get(memberId) as number) && free.delete(task)) kept.push(task);
    }
  }
  for (const task of free) {
    const next = ordered.find(
      ({ memberId }) => (result.get(memberId) as string[]).length < (quotas.get(memberId) as number),
    );
    if (next === undefined) throw new Error('invariant broken: quotas do not cover the tasks');
    (result.get(next.memberId) as string[]).push(task);
  }
  return result;
}

/**
 * Members that differ in what they can run, for a while: a task stays with its holder or goes to the least loaded member
 * that can run it. One that nobody can run is run by nobody until the members agree.
 */
function assignMixed<Member extends AssignedMember>(
  tasks: readonly string[],
  members: readonly Member[],
  mayRun: (member: Member, task: string) => boolean,
): Map<string, string[]> {
  const result = new Map<string, string[]>(members.map(({ memberId }) => [memberId, []]));
  const load = ({ memberId }: Member): number => (result.get(memberId) as string[]).length;
  const share = Math.ceil(tasks.length / members.length);
  for (const task of [...tasks].sort(compareText)) {
    const able = members
      .filter((member) => mayRun(member, task))
      .sort((a, b) => load(a) - load(b) || compareText(a.name, b.name) || compareText(a.memberId, b.memberId));
    const holder = able.find((member) => member.tasks.includes(task) && load(member) < share) ?? able[0];
    if (holder !== undefined) (result.get(holder.memberId) as string[]).push(task);
  }
  return result;
}

function compareText(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
