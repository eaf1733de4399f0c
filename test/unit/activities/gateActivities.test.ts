import { describe, expect, test } from 'vitest';
import { testRows } from '../../../activities/gateActivities.js';
import { judgeComparative } from '../../../models/gates/modelGates.js';
import { seededRandom } from '../../../models/statistics/random.js';
import type { VectorMatrix } from '../../../stores/offline/offlineStore.js';

const DAY = 86_400_000;
const superior = { kind: 'superior', metric: 'average_precision', margin: 0 } as const;

/** A dataset of 600 rows with the entities given and a candidate that is better than the reference. */
function judged(entityOf: (row: number) => VectorMatrix['entities'][number]) {
  const random = seededRandom('rows');
  const labels = Float64Array.from({ length: 600 }, () => (random.next() < 0.2 ? 1 : 0));
  const score = (strength: number): Float64Array => labels.map((label) => strength * label + random.normal());
  const [candidate, reference] = [score(3), score(1)];
  const matrix: VectorMatrix = {
    rows: 600,
    columns: [],
    values: new Float64Array(0),
    times: Float64Array.from({ length: 600 }, (_, row) => row * (DAY / 100)),
    ids: Array.from({ length: 600 }, (_, row) => row),
    entities: Array.from({ length: 600 }, (_, row) => entityOf(row)),
    labels,
    knownAt: null,
    requests: null,
  };
  const rows = testRows(matrix, 0, 600);
  return { rows, verdict: judgeComparative(superior, 'champion', rows, candidate, reference, 1) };
}

describe('rows without an entity', () => {
  test('are judged as clusters of their own, not as one that all share', () => {
    const { rows, verdict } = judged(() => null);
    expect(rows.entities.every((entity) => entity === null)).toBe(true);
    // One cluster would be too few entities to tell anything.
    expect(verdict).toEqual(judged((row) => row).verdict);
    expect(verdict.verdict).toBe('pass');
  });

  test('are not taken for rows whose entity is the empty text', () => {
    expect(judged(() => '').verdict).toMatchObject({
      verdict: 'inconclusive',
      reason: expect.stringContaining('of 1 entities') as string,
    });
  });
});

test('a part of a dataset keeps its own rows: label, entity and the day in UTC', () => {
  const matrix = { ...fourRows, times: Float64Array.of(0, DAY - 1, DAY, 2 * DAY) };
  expect(testRows(matrix, 1, 3)).toEqual({
    labels: Float64Array.of(1, 0),
    days: Int32Array.of(0, 1),
    entities: [null, 'b'],
  });
});

const fourRows: VectorMatrix = {
  rows: 4,
  columns: [],
  values: new Float64Array(0),
  times: new Float64Array(4),
  ids: [1, 2, 3, 4],
  entities: ['a', null, 'b', 'c'],
  labels: Float64Array.of(0, 1, 0, 1),
  knownAt: null,
  requests: null,
};
