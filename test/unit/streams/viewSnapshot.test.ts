import { expect, test } from 'vitest';
import { customerSpending } from '../../../examples/fraud/project.js';
import { createViewOperator } from '../../../features/operator/createViewOperator.js';
import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import { ViewSnapshot } from '../../../streams/state/viewSnapshot.js';
import { randomNumbers, START } from '../../support/payments.js';

const view = customerSpending.compiled;
const DAY = 86_400_000;
const HOT = 7;
const QUIET = 42;

/** A snapshot store: entries by key. */
class Shelf {
  readonly entries = new Map<string, Uint8Array>();

  /** How many entries were written. */
  write(snapshot: ViewSnapshot): number {
    let written = 0;
    for (const { key, value } of snapshot.entries()) {
      if (value === null) this.entries.delete(key);
      else {
        this.entries.set(key, value);
        written++;
      }
    }
    return written;
  }

  restore(): { readonly operator: ViewOperator; readonly snapshot: ViewSnapshot } {
    const operator = createViewOperator(view);
    const snapshot = new ViewSnapshot(operator);
    const inOrder = [...this.entries].sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
    for (const [key, value] of inOrder) snapshot.restore(key, value);
    return { operator, snapshot };
  }
}

function insert(operator: ViewOperator, key: number, id: number, time: number): void {
  operator.insert(key, time, id, [id, time, key, 1, id % 1_000], 0, id);
}

/** What is held of a key since its first event; a snapshot may still have evicted ones before it. */
function heldOf(operator: ViewOperator, key: number, since: number): Uint8Array {
  return operator.encodeRange(key, since, Number.POSITIVE_INFINITY) ?? Buffer.alloc(0);
}

test('an event that no request can see any more leaves nothing behind, not even its key', () => {
  const operator = createViewOperator(view);
  operator.evict(START + 10 * view.keepMs);
  expect(operator.insert(HOT, START, 1, [1, START, HOT, 1, 1], 0, 1)).toBe('expired');
  expect(operator.size).toEqual({ keys: 0, events: 0 });
  expect([...operator.takeChanges()]).toEqual([]);
});

test('a restored snapshot holds every key as it was, through late events, evictions and restarts', () => {
  const random = randomNumbers(11);
  const shelf = new Shelf();
  let { operator, snapshot } = shelf.restore();
  let time = START;
  let id = 0;
  let most = 0;
  for (let round = 0; round < 80; round++) {
    for (let event = Math.floor(random() * 250); event > 0; event--) {
      time += Math.floor(random() * 4 * 60_000);
      const late = random() < 0.02 ? Math.floor(random() * 5 * DAY) : 0;
      insert(operator, random() < 0.98 ? HOT : QUIET, id++, time - late);
    }
    if (round % 5 === 4) operator.evict(time);
    shelf.write(snapshot);
    most = Math.max(most, shelf.entries.size);
    const restored = shelf.restore();
    for (const key of [HOT, QUIET]) {
      const [since] = operator.chunkStarts(key, Number.NEGATIVE_INFINITY, Number.POSITIVE_INFINITY, 1_000_000);
      const [held, expected] = [heldOf(restored.operator, key, since ?? 0), heldOf(operator, key, since ?? 0)];
      expect(Buffer.compare(held, expected)).toBe(0);
    }
    if (round % 9 === 8) ({ operator, snapshot } = restored);
  }
  expect(most).toBeGreaterThan(4);
});

test('of a hot key only what changed is written', () => {
  const operator = createViewOperator(view);
  const snapshot = new ViewSnapshot(operator);
  const shelf = new Shelf();
  for (let id = 0; id < 20_000; id++) insert(operator, HOT, id, START + id * 60_000);
  expect(shelf.write(snapshot)).toBeGreaterThan(30);
  let written = 0;
  for (let id = 20_000; id < 20_100; id++) {
    insert(operator, HOT, id, START + id * 60_000);
    written += shelf.write(snapshot);
  }
  expect(written).toBeLessThanOrEqual(102);
  const restored = shelf.restore();
  expect(restored.operator.encodeKey(HOT)).toEqual(operator.encodeKey(HOT));
  insert(restored.operator, HOT, 20_100, START + 20_100 * 60_000);
  expect(shelf.write(restored.snapshot)).toBe(1);
});

test('a key that cools down is one entry again, and none once it holds nothing', () => {
  const operator = createViewOperator(view);
  const snapshot = new ViewSnapshot(operator);
  const shelf = new Shelf();
  for (let id = 0; id < 2_000; id++) insert(operator, HOT, id, START + id);
  shelf.write(snapshot);
  expect(shelf.entries.size).toBeGreaterThan(2);
  operator.evict(START + 20 * DAY);
  insert(operator, HOT, 2_000, START + 100 * DAY);
  operator.evict(START + 100 * DAY);
  shelf.write(snapshot);
  expect([...shelf.entries.keys()]).toEqual([String(HOT)]);
  operator.evict(START + 300 * DAY);
  shelf.write(snapshot);
  expect(shelf.entries.size).toBe(0);
});

test('chunks sort by time before and after 1970, and damaged ones are named', () => {
  const operator = createViewOperator(view);
  const snapshot = new ViewSnapshot(operator);
  const shelf = new Shelf();
  for (let id = 0; id < 3_000; id++) insert(operator, HOT, id, (id - 1_500) * 60_000);
  shelf.write(snapshot);
  expect(shelf.restore().operator.encodeKey(HOT)).toEqual(operator.encodeKey(HOT));
  const [first, second] = [...shelf.entries.keys()] as [string, string];
  shelf.entries.set(second, shelf.entries.get(first) as Uint8Array);
  expect(() => shelf.restore()).toThrow(expect.objectContaining({ code: 'STATE_CORRUPT' }));
});
