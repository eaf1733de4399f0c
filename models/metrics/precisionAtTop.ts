import { checkRows } from './checkRows.js';

/** What is looked at as one on a day: an entity, or a row without one. */
interface Card {
  readonly entity: number | string | null;
  score: number;
  isPositive: boolean;
}

/**
 * Precision at the top k entities of a day, as fraud investigators work: per day each entity has its greatest score, the k
 * highest (ties by smaller entity) are looked at, and the share of them with a positive row counts. Entities found on one
 * day are left out on later days. The mean over days; null without days.
 *
 * A row without an entity is looked at by itself, after entities of the same score, and never left out.
 *
 * Source: Fraud Detection Handbook, "Card Precision top-k".
 */
export function precisionAtTop(
  k: number,
  rows: {
    readonly labels: Float64Array;
    readonly scores: Float64Array;
    readonly days: ArrayLike<number>;
    readonly entities: readonly (number | string | null)[];
  },
): number | null {
  checkRows(rows.labels, rows.scores);
  const byDay = cardsByDay(rows);
  if (byDay.size === 0) return null;
  const found = new Set<number | string>();
  let sum = 0;
  for (const day of [...byDay.keys()].sort((a, b) => a - b)) {
    const top = (byDay.get(day) as Card[])
      .filter(({ entity }) => entity === null || !found.has(entity))
      .sort(byScore)
      .slice(0, k);
    const hits = top.filter(({ isPositive }) => isPositive);
    sum += hits.length / k;
    for (const { entity } of hits) if (entity !== null) found.add(entity);
  }
  return sum / byDay.size;
}

function cardsByDay({
  labels,
  scores,
  days,
  entities,
}: Parameters<typeof precisionAtTop>[1]): ReadonlyMap<number, Card[]> {
  const byDay = new Map<number, Card[]>();
  const known = new Map<number, Map<number | string, Card>>();
  for (let row = 0; row < labels.length; row++) {
    const day = days[row] as number;
    let cards = byDay.get(day);
    if (cards === undefined) {
      cards = [];
      byDay.set(day, cards);
      known.set(day, new Map());
    }
    const entity = entities[row] ?? null;
    const score = scores[row] as number;
    const isPositive = labels[row] === 1;
    const card = entity === null ? undefined : known.get(day)?.get(entity);
    if (card === undefined) {
      const made: Card = { entity, score, isPositive };
      cards.push(made);
      if (entity !== null) known.get(day)?.set(entity, made);
    } else {
      card.score = Math.max(card.score, score);
      card.isPositive ||= isPositive;
    }
  }
  return byDay;
}

/** Highest first; sorting is stable, so that rows without an entity stay in their order. */
function byScore(a: Card, b: Card): number {
  if (a.score !== b.score) return b.score - a.score;
  if (a.entity === null || b.entity === null) return Number(a.entity === null) - Number(b.entity === null);
  return a.entity < b.entity ? -1 : 1;
}
