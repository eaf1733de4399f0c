import { TidemillError } from '../../contracts/errors.js';
import { normalDensity, normalQuantile, normalUpper } from './normal.js';

/**
 * Looking several times at a growing test without passing more often by luck: the spending function of Lan and DeMets
 * (1983) of the O'Brien-Fleming kind gives an early look almost nothing and the last one almost everything.
 *
 *     spent(t) = 2 (1 - Phi(z(alpha/2) / sqrt t)),  t: share of the information
 *     three looks at 1/3, 2/3, 1 with alpha .025:  z = 3.7103, 2.5114, 1.9930
 */
export const MAX_LOOKS = 3;

const GRID_INTERVALS = 400;
const GRID_REACH_SD = 8;

/** One-sided alpha spent up to a share of the information. */
export function spentAlpha(share: number, alpha: number): number {
  return Math.min(alpha, 2 * normalUpper(normalQuantile(1 - alpha / 2) / Math.sqrt(share)));
}

/**
 * The one-sided nominal level of each look: a test at look k that passes below level k passes in all with probability
 * alpha at most.
 *
 * @param shares of the information at each look, rising to 1; at most 3.
 * @throws TidemillError DEFINITION_INVALID
 */
export function lookLevels(shares: readonly number[], alpha: number): readonly number[] {
  const rising = shares.every((share, index) => share > (shares[index - 1] ?? 0));
  if (shares.length < 1 || shares.length > MAX_LOOKS || !rising || shares.at(-1) !== 1) {
    throw new TidemillError(
      'DEFINITION_INVALID',
      `shares of looks ${JSON.stringify(shares)} do not rise to 1 in at most ${MAX_LOOKS} steps`,
      { shares },
    );
  }
  if (!(alpha > 0 && alpha < 0.5)) {
    throw new TidemillError('DEFINITION_INVALID', `alpha ${alpha} is not between 0 and 0.5`, { alpha });
  }
  // The score process S(t) = Z sqrt(t) has independent increments; `paths` is its density among the tests that go on.
  let paths: Grid | null = null;
  let before = 0;
  let spent = 0;
  const levels: number[] = [];
  for (const share of shares) {
    const spend = spentAlpha(share, alpha) - spent;
    spent += spend;
    const step = Math.sqrt(share - before);
    const crossing = crossingProbability(paths, step);
    const bound = solveFalling(crossing, spend, GRID_REACH_SD * Math.sqrt(share));
    levels.push(normalUpper(bound / Math.sqrt(share)));
    if (share < 1) paths = advance(paths, step, bound, -GRID_REACH_SD * Math.sqrt(share));
    before = share;
  }
  return levels;
}

interface Grid {
  readonly points: Float64Array;
  /** Density times Simpson's weight at each point. */
  readonly masses: Float64Array;
}

/** Probability of going on so far and then being above a bound. */
function crossingProbability(paths: Grid | null, step: number): (bound: number) => number {
  if (paths === null) return (bound) => normalUpper(bound / step);
  return (bound) => {
    let sum = 0;
    for (let index = 0; index < paths.points.length; index++) {
      sum += (paths.masses[index] as number) * normalUpper((bound - (paths.points[index] as number)) / step);
    }
    return sum;
  };
}

function advance(paths: Grid | null, step: number, bound: number, lowest: number): Grid {
  const width = (bound - lowest) / GRID_INTERVALS;
  const points = new Float64Array(GRID_INTERVALS + 1);
  const masses = new Float64Array(GRID_INTERVALS + 1);
  for (let index = 0; index <= GRID_INTERVALS; index++) {
    const point = lowest + index * width;
    let density = 0;
    if (paths === null) density = normalDensity(point / step) / step;
    else {
      for (let from = 0; from < paths.points.length; from++) {
        density +=
          ((paths.masses[from] as number) * normalDensity((point - (paths.points[from] as number)) / step)) / step;
      }
    }
    const simpson = index === 0 || index === GRID_INTERVALS ? 1 : index % 2 === 1 ? 4 : 2;
    points[index] = point;
    masses[index] = (density * simpson * width) / 3;
  }
  return { points, masses };
}

/** Where a falling function of a bound in -reach..reach has a value, by bisection. */
function solveFalling(probability: (bound: number) => number, wanted: number, reach: number): number {
  let low = -reach;
  let high = reach;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (probability(middle) > wanted) low = middle;
    else high = middle;
  }
  return high;
}
