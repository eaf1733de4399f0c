import type { PredictionRecord } from '../../../contracts/records.js';
import { predictionsTopic, streamTopic } from '../../../contracts/topics.js';
import { readTopic } from '../../../activities/audit/readTopic.js';
import type { Log } from '../../../stores/log/log.js';

/** Milliseconds from a request's append to the log to its prediction's, by the broker's own clock. */
export async function latencies(
  log: Log,
  project: string,
  stream: string,
  model: string,
): Promise<{ p50: number; p99: number }> {
  const appended = new Map<string, number>();
  for (const { partition, offset, timestamp } of await readTopic(log, streamTopic(project, stream))) {
    appended.set(`${partition}/${offset}`, timestamp);
  }
  const waits: number[] = [];
  for (const { timestamp, value } of await readTopic(log, predictionsTopic(project, model))) {
    const { source } = JSON.parse(value?.toString('utf8') ?? 'null') as PredictionRecord;
    waits.push(timestamp - (appended.get(`${source.partition}/${source.offset}`) ?? timestamp));
  }
  waits.sort((a, b) => a - b);
  const at = (share: number): number => waits[Math.min(waits.length - 1, Math.floor(share * waits.length))] ?? 0;
  return { p50: at(0.5), p99: at(0.99) };
}
