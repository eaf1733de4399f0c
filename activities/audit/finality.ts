import { streamTopic } from '../../contracts/topics.js';
import { checkFuture, parseEvent } from '../../features/eventContract.js';
import type { CompiledService, CompiledStream } from '../../features/compiledView.js';
import type { Log } from '../../stores/log/log.js';

/** Records at the end of a partition that are looked at for its greatest event time. */
const TAIL_RECORDS = 500;

/** The streams whose events a service's vectors depend on, each once. */
export function streamsOfViews(service: CompiledService): readonly CompiledStream[] {
  const streams = service.inputs.flatMap((input) => (input.kind === 'view' ? [input.view.stream] : []));
  return [...new Map(streams.map((stream) => [stream.name, stream])).values()];
}

/**
 * Requests before this event time, ms, have their final value in event time, as far as anybody can know: the watermarks of
 * all streams of the views are past the request time plus their lateness.
 *
 *     request time                 watermark = greatest event time - lateness
 *     |----- lateness -----|------>|----- lateness -----|
 *
 * Where no view is read, every request that is there is final. -Infinity while a stream has no event at all.
 */
export async function finalUpTo(log: Log, project: string, service: CompiledService): Promise<number> {
  const streams = streamsOfViews(service);
  if (streams.length === 0) return (await leastNewest(log, project, service.request)) + 1;
  const final = await Promise.all(
    streams.map(async (stream) => (await leastNewest(log, project, stream)) - 2 * stream.allowedLatenessMs),
  );
  return Math.min(...final);
}

/** Least of the greatest event times of a stream's partitions; those that never had a record are left out. */
async function leastNewest(log: Log, project: string, stream: CompiledStream): Promise<number> {
  const topic = streamTopic(project, stream.name);
  const ranges = (await log.partitionCount(topic)) === null ? [] : await log.offsets(topic);
  const filled = ranges.filter(({ low, high }) => high > low);
  if (filled.length === 0) return Number.NEGATIVE_INFINITY;
  return Math.min(...(await Promise.all(filled.map((range) => newestTime(log, topic, stream, range)))));
}

/** Greatest event time near the end of a partition: not more than that of the whole, and seldom less. */
async function newestTime(
  log: Log,
  topic: string,
  stream: CompiledStream,
  { partition, low, high }: { readonly partition: number; readonly low: number; readonly high: number },
): Promise<number> {
  for (let size = TAIL_RECORDS; ; size *= 4) {
    const from = Math.max(low, high - size);
    let newest = Number.NEGATIVE_INFINITY;
    for await (const batch of log.read({ topic, partition, from, to: high })) {
      for (const { value, timestamp } of batch) {
        try {
          const { time } = parseEvent(stream, value);
          checkFuture(stream, time, timestamp);
          newest = Math.max(newest, time);
        } catch {
          // A breach of the contract says nothing about time.
        }
      }
    }
    if (Number.isFinite(newest) || from === low) return newest;
  }
}
