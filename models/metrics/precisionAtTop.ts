import { checkRows } from './checkRows.js';

/**
 * Precision at the top k entities of a day, as fraud investigators work: per day each entity has its greatest score, the k
 * highest (ties by smaller entity) are looked at, and the share of them with a positive row counts. Entities found on one
 * day are left out on later days. The mean over days; null without days.
 *
 * Source: Fraud Detection Handbook, "Card Precision top-k".
 */
export function precisionAtTop(
  k: number,
  rows: {
    readonly labels: Float64Array;
    readonly scores: Float64Array;
    readonly days: ArrayLike<number>;
    readonly entities: readonly (number | string)[];
  },
): number | null {
  checkRows(rows.labels, rows.scores);
  const byDay = new Map<number, Map<number | string, { score: number; isPositive: boolean }>>();
  for (let row = 0; row < rows.labels.length; row++) {
    const day = rows.days[row] as number;
    let entities = byDay.get(day);
    if (entities === undefined) {
      entities = new Map();
      byDay.set(day, entities);
    }
    const entity = rows.entities[row] as number | string;
    const known = entities.get(entity);
    const score = rows.scores[row] as number;
    const isPositive = rows.labels[row] === 1;
    if (known === undefined) entities.set(entity, { score, isPositive });
    else {
      known.score = Math.max(known.score, score);
      known.isPositive ||= isPositive;
    }
  }
  if (byDay.size === 0) return null;
  const found = new Set<number | string>();
  let sum = 0;
  for (const day of [...byDay.keys()].sort((a, b) => a - b)) {
    const entities = byDay.get(day) as Map<number | string, { score: number; isPositive: boolean }>;
    const top = [...entities]
      .filter(([entity]) => !found.has(entity))
      .sort(([a, left], [b, right]) => right.score - left.score || (a < b ? -1 : 1))
      .slice(0, k);
    const hits = top.filter(([, { isPositive }]) => isPositive);
    sum += hits.length / k;
    for (const [entity] of hits) found.add(entity);
  }
  return sum / byDay.size;
}
