import { TidemillError } from '../../contracts/errors.js';
import { REPLAY_HEADER } from '../../contracts/deadLetters.js';
import { streamTopic } from '../../contracts/topics.js';
import type { CompiledStream } from '../../features/compiledView.js';
import { formatEvent } from '../../features/eventContract.js';
import type { LoggedEvent } from '../../features/types.js';
import type { Log, LogRecord, TopicPartition } from '../log/log.js';
import type { ObjectStore } from '../objects/objectStore.js';
import type { OfflineStore } from '../offline/offlineStore.js';
import { reachTo, readArchivedRanges, withoutRepeats, type ArchivedRange, type Stretch } from './archivedRanges.js';

/** Records of event streams out of the archive, as the log had them. */
export interface ArchivedInput {
  /**
   * Where what is archived of a partition begins, without a gap up to `to`; `to` itself where nothing is. `lost` is the gap
   * before it, where there is something before.
   */
  reach(place: TopicPartition, to: number): Promise<{ readonly from: number; readonly lost: Stretch | null }>;
  /**
   * The events of a partition as records, in the order of their offsets: same partition, offset and append time, and a value
   * that reads as the same event. What broke the contract has no row in the archive and is left out.
   *
   * @throws TidemillError OFFSET_LOST naming offsets that are not archived
   */
  read(place: TopicPartition, range: Stretch): AsyncIterable<readonly LogRecord[]>;
}

/** Rows and files that one query may take in. */
const MAX_BATCH_ROWS = 250_000;
const MAX_BATCH_FILES = 100;

export interface ArchivedInputParts {
  readonly log: Log;
  readonly objects: Pick<ObjectStore, 'localPath'>;
  /** Opened when something is read. */
  readonly offline: () => Promise<Pick<OfflineStore, 'readEvents'>>;
  readonly project: string;
  readonly streams: readonly CompiledStream[];
}

/** Reads what manifests name, and only that. */
export function openArchivedInput(parts: ArchivedInputParts): ArchivedInput {
  const streams = new Map(parts.streams.map((stream) => [streamTopic(parts.project, stream.name), stream]));
  const rangesOf = async ({ topic, partition }: TopicPartition): Promise<readonly ArchivedRange[]> => {
    if (!streams.has(topic)) return [];
    const found = await readArchivedRanges(parts.log, parts.project, { topics: new Set([topic]), partition });
    return found.get(topic)?.get(partition) ?? [];
  };
  return {
    reach: async (place, to) => reachTo(await rangesOf(place), to),
    read: async function* (place, { from, to }) {
      const stream = streams.get(place.topic);
      const ranges = withoutRepeats(await rangesOf(place)).filter((each) => each.last >= from && each.first < to);
      requireWhole(place, ranges, { from, to });
      if (stream === undefined) return;
      const offline = await parts.offline();
      let next = from;
      for (const batch of batchesOf(ranges)) {
        const files: string[] = [];
        for (const { uri, sha256 } of batch.flatMap((each) => each.files))
          files.push(await parts.objects.localPath(uri, sha256));
        for await (const events of offline.readEvents(stream, files)) {
          // Ranges of two writers may overlap: what was read counts once.
          const fresh = events.filter(
            ({ offset, partition }) => partition === place.partition && offset < to && offset >= next,
          );
          const last = fresh.at(-1);
          if (last === undefined) continue;
          yield fresh.map((event) => recordOf(stream, place.topic, event));
          next = last.offset + 1;
        }
      }
    },
  };
}

/** @throws TidemillError OFFSET_LOST */
function requireWhole({ topic, partition }: TopicPartition, ranges: readonly ArchivedRange[], wanted: Stretch): void {
  const lost: Stretch[] = [];
  let next = wanted.from;
  for (const { first, last } of ranges) {
    if (first > next) lost.push({ from: next, to: first });
    next = Math.max(next, last + 1);
  }
  if (next < wanted.to) lost.push({ from: next, to: wanted.to });
  if (lost.length === 0) return;
  const named = lost.map(({ from, to }) => `${from} to ${to - 1}`).join(', ');
  throw new TidemillError(
    'OFFSET_LOST',
    `${topic}-${partition}: offsets ${named} are neither in the log nor in the archive`,
    { topic, partition, lost },
  );
}

/** Ranges in offset order, as many at a time as one query may take in; those that overlap are apart. */
function batchesOf(ranges: readonly ArchivedRange[]): ArchivedRange[][] {
  const batches: ArchivedRange[][] = [];
  let rows = 0;
  let files = 0;
  for (const range of ranges) {
    if (range.files.length === 0) continue;
    const batch = batches.at(-1);
    rows += range.rows;
    files += range.files.length;
    const isFull = rows > MAX_BATCH_ROWS || files > MAX_BATCH_FILES;
    if (batch === undefined || isFull || (batch.at(-1) as ArchivedRange).last >= range.first) {
      batches.push([range]);
      rows = range.rows;
      files = range.files.length;
    } else batch.push(range);
  }
  return batches;
}

/** The record of an archived event. One whose append time nobody knows was taken when it happened: its time was no fault then. */
function recordOf(stream: CompiledStream, topic: string, event: LoggedEvent): LogRecord {
  const { partition, offset, values, time, appendedAt, replay } = event;
  const key = values[stream.topicKey];
  return {
    topic,
    partition,
    offset,
    timestamp: appendedAt ?? time,
    key: key === null || key === undefined ? null : Buffer.from(String(key)),
    value: Buffer.from(formatEvent(stream, event)),
    headers: replay === undefined ? {} : { [REPLAY_HEADER]: replay },
  };
}
