import { TidemillError } from '../../contracts/errors.js';
import type { ResetOffset, ResetStart, TopologyReset } from '../../contracts/topologyReset.js';
import { groupId, topologyPrefix } from '../../contracts/topics.js';
import type { Log } from '../../stores/log/log.js';
import type { Topology } from './topology.js';

/** A generation of a topology and the one that would follow it. */
export interface ResetTarget {
  readonly current: Topology;
  readonly next: Topology;
}

/**
 * Resets a topology: a new generation with a group, transactional ids, internal topics and snapshots of its own starts at
 * chosen offsets; its state is what a silent replay of the log up to there gives.
 *
 *   1. refuse while anybody runs the old generation: it would go on beside the new one
 *   2. choose the start in every topic
 *   3. commit it to the group of the new generation, which nobody reads yet
 *   4. issue the new generation: from here on workers run it
 *   5. look once more: who read the number of the old generation before 4 may have joined it after 3
 *
 * A crash before 4 changes nothing: the offsets of 3 are overwritten by the next reset.
 *
 * @param issue gives the number of the generation that it issued.
 * @throws TidemillError TOPOLOGY_ACTIVE naming the members; OFFSETS_MISSING.
 */
export async function resetTopology(
  log: Log,
  target: ResetTarget,
  start: ResetStart,
  issue: () => Promise<number>,
): Promise<TopologyReset> {
  // 1 nobody is there, 2 where to start
  const plan = await planReset(log, target, start);
  // 3 offsets
  await log.commitOffsets(
    plan.group.to,
    plan.offsets.map(({ topic, partition, start: offset }) => ({ topic, partition, offset })),
  );
  await refuseWhileActive(log, target.current);
  // 4 generation
  const issued = await issue();
  if (issued !== plan.generation.to) {
    throw new TidemillError(
      'TOPOLOGY_ACTIVE',
      `${plan.topology}: another reset issued generation ${plan.generation.to} at the same time; ${issued} has no offsets`,
      { topology: plan.topology, issued },
    );
  }
  // 5 nobody came meanwhile
  await refuseWhileActive(
    log,
    target.current,
    `generation ${issued} is issued, but generation ${plan.generation.from}`,
  );
  return { ...plan, applied: true };
}

/**
 * What a reset would do; changes nothing.
 *
 * @throws TidemillError TOPOLOGY_ACTIVE naming the members; OFFSETS_MISSING.
 */
export async function planReset(log: Log, { current, next }: ResetTarget, start: ResetStart): Promise<TopologyReset> {
  await refuseWhileActive(log, current);
  const internal = (topic: string, { identity }: Topology): boolean => topic.startsWith(`${topologyPrefix(identity)}.`);
  const offsets: ResetOffset[] = [];
  for (const source of next.sources) {
    // Internal topics of the new generation begin empty.
    if (internal(source.topic, next) || (await log.partitionCount(source.topic)) === null) continue;
    offsets.push(...(await startIn(log, current, source, start)));
  }
  const leftBehind: { topic: string; records: number }[] = [];
  for (const { topic } of current.sources) {
    if (!internal(topic, current)) continue;
    const records = await unprocessed(log, current, topic);
    if (records > 0) leftBehind.push({ topic, records });
  }
  return {
    topology: current.identity.name,
    generation: { from: current.identity.generation, to: next.identity.generation },
    group: { from: groupId(current.identity), to: groupId(next.identity) },
    offsets,
    leftBehind,
    applied: false,
  };
}

async function startIn(
  log: Log,
  { identity }: Topology,
  { topic, start: usual }: Topology['sources'][number],
  start: ResetStart,
): Promise<ResetOffset[]> {
  const ranges = await log.offsets(topic);
  const known = await log.committed(
    groupId(identity),
    ranges.map(({ partition }) => ({ topic, partition })),
  );
  const atTime = start.kind === 'time' ? await log.offsetsAt(topic, start.at) : [];
  return ranges.map(({ partition, low, high }, at) => {
    const committed = known[at]?.offset ?? null;
    const wanted = ((): number => {
      switch (start.kind) {
        case 'earliest':
          return low;
        case 'latest':
          return high;
        case 'time':
          return atTime.find((each) => each.partition === partition)?.offset ?? high;
        case 'committed':
          if (committed !== null) return committed;
          if (usual === 'earliest') return low;
          if (usual === 'joining') return high;
          throw new TidemillError(
            'OFFSETS_MISSING',
            `${identity.name}: the group has no committed offset for ${topic}-${partition}`,
            { topology: identity.name, topic, partition },
          );
      }
    })();
    // What retention has deleted cannot be read any more: it goes on with what there is.
    return { topic, partition, committed, start: Math.min(Math.max(wanted, low), Math.max(low, high)), low, end: high };
  });
}

/** Counted one by one: offsets alone would count transaction markers, too. */
async function unprocessed(log: Log, { identity }: Topology, topic: string): Promise<number> {
  if ((await log.partitionCount(topic)) === null) return 0;
  let records = 0;
  for (const { partition, low, high } of await log.offsets(topic)) {
    const [known] = await log.committed(groupId(identity), [{ topic, partition }]);
    const from = Math.max(low, known?.offset ?? low);
    if (from >= high) continue;
    for await (const batch of log.read({ topic, partition, from, to: high })) records += batch.length;
  }
  return records;
}

async function refuseWhileActive(log: Log, { identity }: Topology, what = ''): Promise<void> {
  const members = await log.groupMembers(groupId(identity));
  if (members.length === 0) return;
  const names = members.map(({ name, host }) => `${name} (${host})`);
  const said = what === '' ? identity.name : `${identity.name}: ${what}`;
  throw new TidemillError('TOPOLOGY_ACTIVE', `${said} is run by ${names.join(', ')}`, {
    topology: identity.name,
    members,
  });
}
