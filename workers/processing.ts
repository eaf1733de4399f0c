import { TidemillError } from '../contracts/errors.js';

/**
 * How a topology is processed, by the value of `--processing`. The archive is exactly-once whatever it says: a file for every
 * few records is what answering at once would come to there.
 *
 * @throws TidemillError USAGE_INVALID
 */
export function processingOf(text: string, topology: string): 'exactly-once' | 'at-least-once' {
  if (text === 'exactly-once' || text === 'at-least-once') return topology === 'archive' ? 'exactly-once' : text;
  throw new TidemillError('USAGE_INVALID', `--processing ${text} is neither exactly-once nor at-least-once`, {
    option: 'processing',
    value: text,
  });
}
