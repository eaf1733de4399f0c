import { describe, expect, test } from 'vitest';
import { Idleness } from '../../../streams/runtime/idleness.js';

const quiet = [{ topic: 'rides', partition: 0, hasMore: false }];
const behind = [{ topic: 'rides', partition: 0, hasMore: true }];

describe('a partition', () => {
  test('is idle once nothing has come for a while, and says so once', () => {
    const idleness = new Idleness('rides', 1_000);
    expect(idleness.pass(0, quiet)).toBe(1_000);
    expect(idleness.pass(400, quiet)).toBe(600);
    expect(idleness.pass(600, quiet)).toBe(0);
    expect([idleness.isIdle, idleness.pass(9_000, quiet)]).toEqual([true, Number.POSITIVE_INFINITY]);
    idleness.stir();
    expect(idleness.isIdle).toBe(false);
  });

  test('that has more to read is never idle, however long it takes; what went by meanwhile does not count', () => {
    const idleness = new Idleness('rides', 1_000);
    idleness.pass(0, quiet);
    expect(idleness.pass(5_000, behind)).toBe(Number.POSITIVE_INFINITY);
    expect(idleness.pass(5_000, quiet)).toBe(1_000);
  });

  test('does not care about other topics of its task', () => {
    const idleness = new Idleness('rides', 1_000);
    const others = [...quiet, { topic: 'complaints', partition: 0, hasMore: true }];
    idleness.pass(0, others);
    expect(idleness.pass(1_000, others)).toBe(0);
  });
});
