import { InvalidArgumentError } from 'commander';
import { durationMs, formatDuration } from '../contracts/duration.js';
import { isTidemillError } from '../contracts/errors.js';

/** A parser of options that take a whole number of a range, both ends included. */
export function integerBetween(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (Number.isSafeInteger(value) && value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It is not a whole number from ${low} to ${high}.`);
  };
}

/** A parser of options that must have a form; `example` shows it. */
export function matching(pattern: RegExp, example: string): (text: string) => string {
  return (text) => {
    if (pattern.test(text)) return text;
    throw new InvalidArgumentError(`It is not like ${example}.`);
  };
}

/** A parser of options that take a number of a range, both ends included. */
export function numberBetween(low: number, high: number): (text: string) => number {
  return (text) => {
    const value = /^\d+(\.\d+)?(e-?\d+)?$/i.test(text) ? Number(text) : Number.NaN;
    if (value >= low && value <= high) return value;
    throw new InvalidArgumentError(`It is not a number from ${low} to ${high}.`);
  };
}

/** A parser of options that take a duration like `90d`, of at least `leastMs`. */
export function durationFrom(leastMs: number): (text: string) => string {
  return (text) => {
    try {
      if (durationMs(text) >= leastMs) return text;
    } catch (error) {
      if (!isTidemillError(error)) throw error;
    }
    throw new InvalidArgumentError(`It is not a duration like 90d or 12h, of at least ${formatDuration(leastMs)}.`);
  };
}
