import { normalQuantile, normalUpper } from '../../models/statistics/normal.js';
import type { TestRows } from '../../models/gates/modelGates.js';
import type { RandomNumbers } from '../../models/statistics/random.js';

/**
 * Two models on the rows of a world in which their metrics are known. Customers have 1 to 9 rows, a risk and a score level
 * of their own; both models share most of their noise:
 *
 *     label ~ Bernoulli(logistic(base + 1.2 z)),   score = strength label + 0.5 u + 0.7 s + 0.6 e
 *
 * so that AUC and average precision of each model are known without drawing anything: the score is normal with variance
 * 1.1 around 0 or the strength.
 */
const SCORE_SD = Math.sqrt(0.25 + 0.49 + 0.36);
const BASE = -2;
const GRID = 4_000;

export interface Draw {
  readonly rows: TestRows;
  readonly a: Float64Array;
  readonly b: Float64Array;
}

export function drawWorld(random: RandomNumbers, customers: number, strengthA: number, strengthB: number): Draw {
  const labels: number[] = [];
  const entities: number[] = [];
  const a: number[] = [];
  const b: number[] = [];
  for (let customer = 0; customer < customers; customer++) {
    const level = random.normal();
    const risk = logistic(BASE + 1.2 * random.normal());
    const rows = 1 + random.below(9);
    for (let row = 0; row < rows; row++) {
      const label = random.next() < risk ? 1 : 0;
      const shared = 0.5 * level + 0.7 * random.normal();
      labels.push(label);
      entities.push(customer);
      a.push(strengthA * label + shared + 0.6 * random.normal());
      b.push(strengthB * label + shared + 0.6 * random.normal());
    }
  }
  const rows = { labels: Float64Array.from(labels), days: new Int32Array(labels.length), entities };
  return { rows, a: Float64Array.from(a), b: Float64Array.from(b) };
}

function logistic(x: number): number {
  return 1 / (1 + Math.exp(-x));
}

/** Mean of a function over (0, 1), by midpoints. */
function meanOver(value: (u: number) => number): number {
  let sum = 0;
  for (let point = 0; point < GRID; point++) sum += value((point + 0.5) / GRID);
  return sum / GRID;
}

export function trueMetric(metric: 'average_precision' | 'auc', strength: number): number {
  if (metric === 'auc') return 1 - normalUpper(strength / (Math.SQRT2 * SCORE_SD));
  const positives = meanOver((u) => logistic(BASE + 1.2 * normalQuantile(u)));
  return meanOver((recall) => {
    const falseRate = normalUpper(strength / SCORE_SD + normalQuantile(1 - recall));
    return (positives * recall) / (positives * recall + (1 - positives) * falseRate);
  });
}
