import { assert } from '../../contracts/errors.js';
import { normalQuantile } from './normal.js';

/** Wilson's interval of a proportion: keeps its level where counts are small. `level`: 0.95 for 95 %. */
export function wilsonInterval(count: number, total: number, level: number): { low: number; high: number } {
  assert(total > 0 && count >= 0 && count <= total, `0 <= ${count} <= ${total}, and there is a trial`);
  const z = normalQuantile(1 - (1 - level) / 2);
  const share = count / total;
  const centre = (share + (z * z) / (2 * total)) / (1 + (z * z) / total);
  const half = (z / (1 + (z * z) / total)) * Math.sqrt((share * (1 - share)) / total + (z * z) / (4 * total * total));
  return { low: count === 0 ? 0 : centre - half, high: count === total ? 1 : centre + half };
}
