import { TidemillError } from '../contracts/errors.js';

/** The value of `--processing`. @throws TidemillError CONFIGURATION_INVALID */
export function processingOf(text: string): 'exactly-once' | 'at-least-once' {
  if (text === 'exactly-once' || text === 'at-least-once') return text;
  throw new TidemillError('CONFIGURATION_INVALID', `--processing ${text} is neither exactly-once nor at-least-once`, {
    option: 'processing',
    value: text,
  });
}
