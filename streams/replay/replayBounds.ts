import { groupId } from '../../contracts/topics.js';
import type { Log, TopicPartition } from '../../stores/log/log.js';
import type { ArchivedInput } from '../../stores/archive/archivedInput.js';
import { partitionName } from '../runtime/taskInputs.js';
import type { Topology } from '../runtime/topology.js';
import { inputsOf, isInternal } from './replayNames.js';

/** An offset in a partition. */
export type Place = TopicPartition & { readonly offset: number };

/** Where the running generation stands in its input: a replay goes so far and no further. */
export async function standOf(log: Log, topology: Topology): Promise<Place[]> {
  const places: Place[] = [];
  for (const { topic } of inputsOf(topology)) {
    if ((await log.partitionCount(topic)) === null) continue;
    const ranges = await log.offsets(topic);
    const known = await log.committed(
      groupId(topology.identity),
      ranges.map(({ partition }) => ({ topic, partition })),
    );
    for (const [at, { partition, low }] of ranges.entries())
      places.push({ topic, partition, offset: known[at]?.offset ?? low });
  }
  return places;
}

/**
 * Says where a replay starts, in the partitions where nobody has said it yet: where the input begins, the archive included, or
 * at the first record that the log took at `from` or later. What lies before is replayed silently.
 *
 * @param from log time, ms; null for the beginning.
 * @param stand of the running generation: a replay starts there at the latest, or what that has not answered yet would be
 *   answered by nobody once the replay takes over.
 * @throws TidemillError OFFSET_LOST
 */
export async function startReplay(
  log: Log,
  topology: Topology,
  archive: ArchivedInput | undefined,
  from: number | null,
  stand: readonly Place[],
): Promise<void> {
  const group = groupId(topology.identity);
  const missing: Place[] = [];
  for (const { topic } of inputsOf(topology)) {
    if ((await log.partitionCount(topic)) === null) continue;
    const ranges = await log.offsets(topic);
    const known = await log.committed(
      group,
      ranges.map(({ partition }) => ({ topic, partition })),
    );
    const atTime = from === null ? [] : await log.offsetsAt(topic, from);
    for (const [at, { partition, low }] of ranges.entries()) {
      if ((known[at]?.offset ?? null) !== null) continue;
      const place = { topic, partition };
      const begin = low === 0 || archive === undefined ? low : (await archive.reach(place, low)).from;
      const inLog = atTime.find((each) => each.partition === partition)?.offset ?? low;
      let offset = from === null ? begin : inLog;
      if (from !== null && archive !== undefined && begin < low && inLog <= low)
        offset = (await firstSince(archive, place, begin, low, from)) ?? low;
      const latest = stand.find((each) => each.topic === topic && each.partition === partition)?.offset ?? offset;
      missing.push({ ...place, offset: Math.min(offset, latest) });
    }
  }
  if (missing.length > 0) await log.commitOffsets(group, missing);
}

/** The first archived record of a partition that was appended at a time or later; null where none was. */
async function firstSince(
  archive: ArchivedInput,
  place: TopicPartition,
  from: number,
  to: number,
  since: number,
): Promise<number | null> {
  for await (const records of archive.read(place, { from, to })) {
    const found = records.find(({ timestamp }) => timestamp >= since);
    if (found !== undefined) return found.offset;
  }
  return null;
}

/** How far a generation is from some places: offsets, not records; 0 where nothing but markers lies between. */
export async function behind(log: Log, topology: Topology, places: readonly Place[]): Promise<number> {
  const committed = await log.committed(groupId(topology.identity), places);
  let offsets = 0;
  for (const [at, { topic, partition, offset }] of places.entries()) {
    const from = committed[at]?.offset ?? 0;
    if (from < offset && (await hasRecords(log, { topic, partition }, from, offset))) offsets += offset - from;
  }
  return offsets;
}

/** Records in internal topics that a generation has not processed, and the ends of these topics. */
export async function undrained(log: Log, topology: Topology): Promise<number> {
  const ends: Place[] = [];
  for (const { topic } of topology.sources) {
    if (!isInternal(topic, topology) || (await log.partitionCount(topic)) === null) continue;
    for (const { partition, high } of await log.offsets(topic)) ends.push({ topic, partition, offset: high });
  }
  return behind(log, topology, ends);
}

async function hasRecords(log: Log, place: TopicPartition, from: number, to: number): Promise<boolean> {
  const range = (await log.offsets(place.topic)).find(({ partition }) => partition === place.partition);
  // What the log no longer has is read from the archive: there may be records.
  if (range === undefined || from < range.low) return true;
  // Far away from the end nobody needs to look.
  if (to - from > 1_000) return true;
  for await (const batch of log.read({ ...place, from, to: Math.min(to, range.high) }))
    if (batch.length > 0) return true;
  return false;
}

/** Partitions, by name, that hold records behind where a replay of them ends. */
export async function goingOn(log: Log, places: readonly Place[]): Promise<ReadonlySet<string>> {
  const found = new Set<string>();
  for (const topic of new Set(places.map((place) => place.topic))) {
    for (const { partition, high } of await log.offsets(topic)) {
      const place = places.find((each) => each.topic === topic && each.partition === partition);
      if (place === undefined || high <= place.offset) continue;
      if (await hasRecords(log, place, place.offset, high)) found.add(partitionName(place));
    }
  }
  return found;
}

/** Places as ends by partition name. */
export function endsOf(places: readonly Place[]): Map<string, number> {
  return new Map(places.map((place) => [partitionName(place), place.offset]));
}
