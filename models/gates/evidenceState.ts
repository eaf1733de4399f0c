import { TidemillError } from '../../contracts/errors.js';

/** @throws TidemillError STATE_CORRUPT */
export function wholeNumber(what: string, value: unknown): number {
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0) return value;
  throw corruptEvidence(`${what} ${JSON.stringify(value)} is not a whole number`);
}

export function corruptEvidence(problem: string): TidemillError {
  return new TidemillError('STATE_CORRUPT', `operational evidence: ${problem}`, {});
}
