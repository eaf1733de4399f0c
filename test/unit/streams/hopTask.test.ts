import { describe, expect, test } from 'vitest';
import { seededRandom } from 'tidemill/testing';
import { hopTopic, predictionsTopic } from '../../../contracts/topics.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import type { LogRecord, OutgoingRecord } from '../../../stores/log/log.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import type { InputPace } from '../../../streams/runtime/taskTimers.js';
import type { Output, StreamTask } from '../../../streams/runtime/topology.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { orderlyRides, ridesProject, START } from '../../support/rides.js';

const common = { project: 'p', generation: 1, partitions: 2 };
const hop = { topic: hopTopic({ project: 'p', name: 'score.refusal', generation: 1 }, 'driver'), partition: 0 };
const silent: Output = { emit: () => undefined, deadLetter: () => undefined };

function topologyOf(answer: 'arrival' | 'ordered') {
  const model = ridesProject('p', 'driver', answer).refusal.compiled;
  return scoreTopology({ ...common, model, scorer: createFallbackScorer(model) });
}
const newTask = (answer: 'arrival' | 'ordered'): StreamTask => topologyOf(answer).createTask('driver-0', [hop]);

/** What the entry tasks send to one hop partition of rides, a block after every few of them. */
async function blocks(seed: number, count: number): Promise<LogRecord[]> {
  const sent: OutgoingRecord[] = [];
  const output: Output = { emit: (record) => sent.push(record), deadLetter: () => undefined };
  const entries = [0, 1].map((partition) => {
    const topic = 'p.rides';
    return { task: topologyOf('ordered').createTask(`rider-${partition}`, [{ topic, partition }]), offset: 0 };
  });
  const more = [0, 1].map((partition): InputPace => ({ topic: 'p.rides', partition, hasMore: true }));
  for (const { stream, records } of orderlyRides(count)(seededRandom(seed))) {
    if (stream.name !== 'rides') continue;
    for (const { key, value } of records) {
      const partition = partitionOf(key, 2);
      const entry = entries[partition] as (typeof entries)[number];
      const place = { topic: 'p.rides', partition, offset: entry.offset++, timestamp: START + 86_400_000 };
      const record: LogRecord = { ...place, key: Buffer.from(key), value: Buffer.from(value), headers: {} };
      entry.task.fold(entry.task.parse(record), output, false);
      // They are not equally fast.
      if (entry.offset % (partition === 0 ? 3 : 7) === 0) entry.task.flush(output, new Map(), more);
    }
  }
  return sent
    .filter(({ topic, partition }) => topic === hop.topic && partition === 0)
    .map(({ value }, offset) => {
      return { ...hop, offset, timestamp: START + 86_400_000, key: null, value: value as Buffer, headers: {} };
    });
}

/** Runs a task over blocks: silently up to `from`, then live; gives the ids that it answered, and the task as it then is. */
async function run(
  task: StreamTask,
  records: readonly LogRecord[],
  { from, to, fired }: { readonly from: number; readonly to: number; readonly fired: number | null | undefined },
): Promise<{ answered: PredictionRecord[]; task: StreamTask }> {
  const sent: OutgoingRecord[] = [];
  const output: Output = { emit: (record) => sent.push(record), deadLetter: () => undefined };
  task.timers?.resume(fired);
  for (const record of records.slice(0, from)) task.fold(task.parse(record), silent, true);
  task.committed(new Map());
  const quiet = [{ ...hop, hasMore: false }];
  task.timers?.pass(0, quiet, output);
  for (const record of records.slice(from, to)) task.fold(task.parse(record), output, false);
  await task.drain(output);
  task.committed(new Map());
  const answered = sent
    .filter(({ topic }) => topic === predictionsTopic('p', 'refusal'))
    .map(({ value }) => JSON.parse(String(value)) as PredictionRecord);
  return { answered, task };
}
const idsOf = (...parts: readonly (readonly PredictionRecord[])[]): (string | number)[] =>
  parts
    .flat()
    .map(({ id }) => id)
    .sort((a, b) => Number(a) - Number(b));

describe('a hop task', () => {
  test('answers no row before all that feed its windows have come so far, and each source partition in its order', async () => {
    const records = await blocks(1, 200);
    const { answered } = await run(newTask('ordered'), records, {
      from: 0,
      to: records.length,
      fired: undefined,
    });
    expect(answered.length).toBeGreaterThan(20);
    const half = await run(newTask('ordered'), records, { from: 0, to: records.length >> 1, fired: undefined });
    expect(half.task.timers?.waiting).toBeGreaterThan(0);
    for (const partition of [0, 1]) {
      const offsets = answered
        .filter(({ source }) => source.partition === partition)
        .map(({ source }) => source.offset);
      expect(offsets).toEqual([...offsets].sort((a, b) => a - b));
    }
    expect(answered.every(({ early }) => early === undefined)).toBe(true);
  });

  test.each([
    ['ordered', 'ordered'],
    ['ordered', 'arrival'],
    ['arrival', 'ordered'],
    ['arrival', 'arrival'],
  ] as const)('that answered %s and goes on %s answers each row once, wherever it stopped', async (before, after) => {
    const records = await blocks(2, 120);
    const everything = idsOf(
      (await run(newTask('arrival'), records, { from: 0, to: records.length, fired: undefined })).answered,
    );
    expect(new Set(everything).size).toBe(everything.length);
    for (let stop = 0; stop <= records.length; stop += 5) {
      const first = await run(newTask(before), records, { from: 0, to: stop, fired: undefined });
      const fired = first.task.timers?.firedThrough;
      const second = await run(newTask(after), records, { from: stop, to: records.length, fired });
      const left = second.task.timers?.waiting ?? 0;
      const both = idsOf(first.answered, second.answered);
      expect(new Set(both).size).toBe(both.length);
      expect(both.length + left).toBe(everything.length);
      if (after === 'arrival') expect(left).toBe(0);
    }
  });

  test('lets rows go after maxWait, marks them, and remembers how far by an event time', async () => {
    const records = await blocks(3, 120);
    const { task } = await run(newTask('ordered'), records, { from: 0, to: records.length, fired: undefined });
    const waiting = task.timers?.waiting ?? 0;
    const sent: OutgoingRecord[] = [];
    const output: Output = { emit: (record) => sent.push(record), deadLetter: () => undefined };
    const quiet = [{ ...hop, hasMore: false }];
    // The upstream tasks have said that they have more to read: there is no end to waiting.
    for (let at = 0; at < 10; at++) expect(task.timers?.pass(60_000, quiet, output).hasFired).toBe(false);
    // Now they say that they have not.
    for (const upstream of [0, 1]) task.fold(parsedAnnouncement(task, records, upstream), output, false);
    expect(task.timers?.pass(60_000, quiet, output)).toEqual({ hasFired: false, againInMs: 2_000 });
    expect(task.timers?.pass(1_999, quiet, output)).toEqual({ hasFired: false, againInMs: 1 });
    expect(task.timers?.pass(1, quiet, output).hasFired).toBe(true);
    await task.drain(output);
    const early = sent
      .filter(({ topic }) => topic === predictionsTopic('p', 'refusal'))
      .map(({ value }) => JSON.parse(String(value)) as PredictionRecord);
    expect(early).toHaveLength(waiting);
    expect(early.every((each) => each.early === true)).toBe(true);
    expect(task.timers).toMatchObject({
      waiting: 0,
      early: waiting,
      firedThrough: Math.max(...early.map(({ at }) => at)),
    });
  });
});

/** The last block of an upstream task once more, without rows and without lag. */
function parsedAnnouncement(task: StreamTask, records: readonly LogRecord[], upstream: number) {
  const all = records.map((record) => task.parse(record) as ReturnType<StreamTask['parse']> & { content: BlockOf });
  const last = all.findLast(({ content }) => content.block.upstream === upstream);
  if (last === undefined) throw new Error(`nothing came from ${upstream}`);
  const block = { ...last.content.block, rows: [], sourceRange: null, isLagging: false };
  return { ...last, time: Number.NEGATIVE_INFINITY, content: { kind: 'block', block } };
}
interface BlockOf {
  readonly kind: 'block';
  readonly block: { readonly upstream: number };
}
