import { normalQuantile } from './normal.js';

/**
 * Quantile of Student's t by the expansion of Fisher and Cornish (1960) around the normal one: within 1e-3 from 10 degrees
 * of freedom on.
 */
export function studentQuantile(probability: number, degrees: number): number {
  const z = normalQuantile(probability);
  const square = z * z;
  return (
    z +
    (z * (square + 1)) / (4 * degrees) +
    (z * (5 * square * square + 16 * square + 3)) / (96 * degrees * degrees) +
    (z * (3 * square ** 3 + 19 * square * square + 17 * square - 15)) / (384 * degrees ** 3)
  );
}
