import type { Booster, Tree } from '../models/onnx/booster.js';

/** Draws a whole number from 0 to below the bound. */
export type Below = (bound: number) => number;

/** Multiplicative congruential generator; only spreads values. */
export function spread(start: number): Below {
  let seed = start;
  return (bound) => {
    seed = (seed * 48_271) % 2_147_483_647;
    return seed % bound;
  };
}

/** An ensemble of full trees over values below 100: what it says means nothing, what it costs is that of a real one. */
export function fullBooster(options: {
  readonly columns: number;
  readonly trees: number;
  readonly depth: number;
  readonly below: Below;
}): Booster {
  const { columns, trees, depth, below } = options;
  const nodes = 2 ** (depth + 1) - 1;
  const inner = 2 ** depth - 1;
  const isInner = (node: number): boolean => node < inner;
  const column = <T>(of: (node: number) => T): T[] => Array.from({ length: nodes }, (_, node) => of(node));
  const tree = (): Tree => ({
    left: column((node) => (isInner(node) ? 2 * node + 1 : -1)),
    right: column((node) => (isInner(node) ? 2 * node + 2 : -1)),
    column: column((node) => (isInner(node) ? below(columns) : 0)),
    value: column((node) => (isInner(node) ? below(100) : (below(200) - 100) / 10_000)),
    missingLeft: column(() => true),
  });
  return { columns, baseMargin: 0, trees: Array.from({ length: trees }, tree) };
}
