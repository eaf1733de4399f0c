import { setTimeout as sleep } from 'node:timers/promises';
import { groupId, predictionsTopic, streamTopic } from '../../../contracts/topics.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { Log, TopicPartition } from '../../../stores/log/log.js';

/** Counts the committed records of a topic as they appear. */
export async function countRecords(log: Log, topic: string) {
  let partitions = await log.partitionCount(topic);
  for (; partitions === null; partitions = await log.partitionCount(topic)) await sleep(100);
  const needed = partitions;
  const waiting: { since: number; resolve: (seconds: number) => void; seen: Map<number, number> }[] = [];
  const counter = {
    count: 0,
    stop: () => undefined as void,
    /** Seconds until every partition has had a new prediction after a moment. */
    nextFromTasksOf: (since: number): Promise<number> =>
      new Promise((resolve) => waiting.push({ since, resolve, seen: new Map() })),
  };
  let stopped = false;
  const readers = Array.from({ length: needed }, (_, partition) => {
    const reader = log.read({ topic, partition, from: 0, to: null })[Symbol.asyncIterator]();
    void (async () => {
      for (;;) {
        const next = await reader.next();
        if (next.done === true || stopped) return;
        counter.count += next.value.length;
        for (const [at, each] of [...waiting.entries()].reverse()) {
          each.seen.set(partition, performance.now());
          if (each.seen.size < needed) continue;
          waiting.splice(at, 1);
          each.resolve((Math.max(...each.seen.values()) - each.since) / 1_000);
        }
      }
    })().catch(() => undefined);
    return reader;
  });
  counter.stop = () => {
    stopped = true;
    for (const reader of readers) void reader.return?.();
  };
  return counter;
}

/** Waits until every request is answered and every label joined. */
export async function drained(log: Log, project: string, { name, request, label }: CompiledModel): Promise<void> {
  const labels = streamTopic(project, label.stream.name);
  const waits: readonly [topology: string, topics: readonly string[]][] = [
    ['score', [streamTopic(project, request.name), `${project}.score.${name}.g1.hop.terminal`, labels]],
    ['outcome', [predictionsTopic(project, name), `${project}.outcome.${name}.g1.hop.event`, labels]],
  ];
  for (const [topology, topics] of waits) {
    const group = groupId({ project, name: `${topology}.${name}`, generation: 1 });
    while (!(await caughtUp(log, group, topics))) await sleep(200);
  }
}

/** Has a group committed everything that its topics hold? */
async function caughtUp(log: Log, group: string, topics: readonly string[]): Promise<boolean> {
  for (const topic of topics) {
    const ends = await log.offsets(topic);
    const places: TopicPartition[] = ends.map(({ partition }) => ({ topic, partition }));
    const committed = await log.committed(group, places);
    if (
      ends.some(({ partition, high }) => (committed.find((each) => each.partition === partition)?.offset ?? 0) < high)
    )
      return false;
  }
  return true;
}
