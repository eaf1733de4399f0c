import { describe, expect, test } from 'vitest';
import type { LogRecord } from '../../../stores/log/log.js';
import { TaskInputs } from '../../../streams/runtime/taskInputs.js';

const partitions = [
  { topic: 'requests', partition: 0 },
  { topic: 'labels', partition: 0 },
];

/** The value is the event time. */
function record(topic: string, offset: number, time: number | string): LogRecord {
  return { topic, partition: 0, offset, timestamp: 0, key: null, value: Buffer.from(String(time)), headers: {} };
}

function inputs(): TaskInputs {
  const made = new TaskInputs(partitions, (each) => {
    const time = Number(each.value?.toString());
    if (Number.isNaN(time)) throw new Error('broken');
    return { record: each, time, content: null };
  });
  for (const input of made.inputs) made.start(input, 0, 0);
  return made;
}

const taken = (from: TaskInputs): (string | undefined)[] => {
  const times: (string | undefined)[] = [];
  for (let next = from.take(); next !== null; next = from.take())
    times.push(`${next.record.topic} ${next.record.value?.toString()}`);
  return times;
};

describe('records of several inputs', () => {
  test('are taken by event time, each input in its own order', () => {
    const all = inputs();
    all.enqueue([record('requests', 0, 10), record('requests', 1, 30), record('requests', 2, 20)]);
    all.enqueue([record('labels', 0, 15), record('labels', 1, 25)]);
    expect(taken(all)).toEqual(['requests 10', 'labels 15', 'labels 25', 'requests 30', 'requests 20']);
  });

  test('wait for an empty input while it has lag, and no longer', () => {
    const all = inputs();
    all.enqueue([record('requests', 0, 10)]);
    all.advance({ topic: 'labels', partition: 0 }, 0, 2);
    expect(all.take()).toBeNull();
    // The two offsets were markers of a transaction.
    all.advance({ topic: 'labels', partition: 0 }, 2, 2);
    expect(taken(all)).toEqual(['requests 10']);
  });

  test('that were read before a seek are not taken twice', () => {
    const all = inputs();
    all.enqueue([record('requests', 0, 1), record('requests', 1, 2)]);
    all.enqueue([record('requests', 1, 2), record('requests', 2, 3)]);
    expect(taken(all)).toEqual(['requests 1', 'requests 2', 'requests 3']);
  });

  test('that cannot be parsed come in their place', () => {
    const all = inputs();
    all.enqueue([record('requests', 0, 5), record('requests', 1, 'x'), record('requests', 2, 7)]);
    const kinds = [all.take(), all.take(), all.take()].map((next) =>
      next !== null && 'failure' in next ? 'failure' : next?.time,
    );
    expect(kinds).toEqual([5, 'failure', 7]);
  });

  test('count as folded once they are taken: that is what is committed', () => {
    const all = inputs();
    const input = all.inputs[0] as (typeof all.inputs)[number];
    all.enqueue([record('requests', 4, 1), record('requests', 7, 2)]);
    expect(all.nextOffset(input)).toBe(4);
    all.take();
    expect(all.nextOffset(input)).toBe(7);
    all.take();
    expect(all.nextOffset(input)).toBe(8);
    expect(input.bytes).toBe(0);
  });
});
