import type { HealPart } from '../../contracts/healing.js';
import { streamTopic } from '../../contracts/topics.js';
import type { CompiledStream } from '../../features/compiledView.js';
import type { ArchivedInput } from '../../stores/archive/archivedInput.js';
import type { Log, LogRecord } from '../../stores/log/log.js';

/** What a stream's partition is read from. */
export interface StreamSource {
  readonly log: Log;
  readonly archive: ArchivedInput;
  readonly project: string;
  readonly stream: CompiledStream;
}

/** Where reading begins, and how many offsets before it are nowhere any more. */
export interface StreamStart {
  readonly from: number;
  readonly lost: number;
}

/**
 * The first offset of each partition that may hold an event after a time: the log refuses events from too far in the future,
 * so one that was appended long before cannot be of that time.
 *
 * @param after event times, ms, by partition; -Infinity for all of them.
 */
export async function startOf(
  { log, archive, project, stream }: StreamSource,
  partition: number,
  after: number,
): Promise<StreamStart> {
  const topic = streamTopic(project, stream.name);
  const low = (await log.offsets(topic)).find((each) => each.partition === partition)?.low ?? 0;
  if (Number.isFinite(after) && after - stream.maxFutureMs > 0) {
    const found = await log.offsetsAt(topic, after - stream.maxFutureMs);
    const offset = found.find((each) => each.partition === partition)?.offset ?? low;
    // Where the log's first record is late enough, those before it may be, too.
    if (offset > low) return { from: offset, lost: 0 };
  }
  if (low === 0) return { from: 0, lost: 0 };
  const { from } = await archive.reach({ topic, partition }, low);
  return { from, lost: from };
}

/** The records of a part in the order of their offsets: out of the archive what the log does not keep any more. */
export async function* recordsOf(
  { log, archive, project, stream }: StreamSource,
  { partition, from, to }: HealPart,
): AsyncIterable<readonly LogRecord[]> {
  const topic = streamTopic(project, stream.name);
  const low = (await log.offsets(topic)).find((each) => each.partition === partition)?.low ?? 0;
  if (from < low) yield* archive.read({ topic, partition }, { from, to: Math.min(low, to) });
  if (to > low) yield* log.read({ topic, partition, from: Math.max(from, low), to });
}
