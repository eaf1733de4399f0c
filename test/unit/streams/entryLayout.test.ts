import { expect, test } from 'vitest';
import { customerSpending } from '../../../examples/fraud/project.js';
import { createViewOperator } from '../../../features/operator/createViewOperator.js';
import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import { WHOLE } from '../../../streams/state/keyChunks.js';
import { EntryLayout } from '../../../streams/topologies/materialize/entryLayout.js';
import { randomNumbers, START } from '../../support/payments.js';

const view = customerSpending.compiled;
const KEY = 7;
const MINUTE = 60_000;
const NOTHING = Buffer.alloc(0);

/** An entry as a store would hold it: chunks by their start. */
class Entry {
  private readonly chunks = new Map<number, Uint8Array>();
  written = 0;

  constructor(
    private readonly operator: ViewOperator,
    private readonly layout: EntryLayout,
  ) {}

  bring(from: number, offset: number): void {
    const { write, done } = this.layout.plan(KEY, from, offset);
    if (write.base === null) this.chunks.clear();
    for (const start of write.dropped) expect(this.chunks.delete(start)).toBe(true);
    for (const { start, bytes } of write.chunks) this.chunks.set(start, bytes);
    this.written += write.chunks.length;
    done();
  }

  get size(): number {
    return this.chunks.size;
  }

  /** The chunks in order hold the state, byte for byte; what was evicted may linger before it until its chunk goes. */
  expectState(): void {
    const stored = createViewOperator(view);
    stored.decodeKey(KEY, ...[...this.chunks].sort(([a], [b]) => a - b).map(([, bytes]) => bytes));
    const [first] = this.operator.chunkStarts(KEY, WHOLE, Number.POSITIVE_INFINITY, Number.MAX_SAFE_INTEGER);
    const held = stored.encodeRange(KEY, first ?? Number.POSITIVE_INFINITY, Number.POSITIVE_INFINITY);
    expect(Buffer.compare(held ?? NOTHING, this.operator.encodeKey(KEY) ?? NOTHING)).toBe(0);
  }
}

function insert(operator: ViewOperator, id: number, time: number): number {
  operator.insert(KEY, time, id, [id, time, KEY, 1, id % 1_000], 0, id);
  return time;
}

test('the chunks of a hot key are its state, through late events, equal times and evictions', () => {
  const random = randomNumbers(3);
  const operator = createViewOperator(view);
  const entry = new Entry(operator, new EntryLayout(operator));
  let id = 0;
  let time = START;
  let most = 0;
  for (let round = 0; round < 120; round++) {
    let earliest = Number.POSITIVE_INFINITY;
    const events = Math.floor(random() * 300);
    for (let event = 0; event < events; event++) {
      // Some come late, some at the same time as the one before.
      if (random() < 0.7) time += Math.floor(random() * 2 * MINUTE);
      const late = random() < 0.02 ? Math.floor(random() * 5 * 86_400_000) : 0;
      earliest = Math.min(earliest, insert(operator, id++, time - late));
    }
    if (round % 7 === 0) operator.evict(time + 28 * 86_400_000);
    if (events > 0) entry.bring(round % 40 === 39 ? WHOLE : earliest, id);
    entry.expectState();
    most = Math.max(most, entry.size);
  }
  expect(most).toBeGreaterThan(3);
});

test('of a hot key only the last chunk is written where events come in order', () => {
  const operator = createViewOperator(view);
  const entry = new Entry(operator, new EntryLayout(operator));
  for (let id = 0; id < 20_000; id++) insert(operator, id, START + id * MINUTE);
  entry.bring(WHOLE, 20_000);
  expect(entry.size).toBeGreaterThan(15);
  entry.written = 0;
  for (let id = 20_000; id < 20_100; id++) entry.bring(insert(operator, id, START + id * MINUTE), id + 1);
  expect(entry.written).toBeLessThanOrEqual(102);
  entry.expectState();
});

test('a key that lost its last event has no chunks', () => {
  const operator = createViewOperator(view);
  const layout = new EntryLayout(operator);
  insert(operator, 1, START);
  layout.plan(KEY, WHOLE, 1).done();
  operator.evict(START + 100 * 86_400_000);
  expect(layout.plan(KEY, WHOLE, 2).write).toEqual({ key: KEY, offset: 2, base: null, chunks: [], dropped: [] });
});
