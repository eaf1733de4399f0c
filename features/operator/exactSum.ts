/**
 * Exact sums of integers as two numbers side by side in an array: value = high * 2^53 + low. Most never need the high word.
 */
export const SUM_NUMBERS = 2;
const WORD = 1n << 53n;
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);

export function clearSum(numbers: number[], at: number): void {
  numbers[at] = 0;
  numbers[at + 1] = 0;
}

/** Adds an integer to the sum at `at`. */
export function addExact(numbers: number[], at: number, value: number): void {
  const low = (numbers[at] as number) + value;
  if (numbers[at + 1] === 0 && low <= Number.MAX_SAFE_INTEGER && low >= -Number.MAX_SAFE_INTEGER) {
    numbers[at] = low;
    return;
  }
  const total = exactOf(numbers, at) + BigInt(value);
  if (total >= -MAX_SAFE && total <= MAX_SAFE) {
    numbers[at] = Number(total);
    numbers[at + 1] = 0;
    return;
  }
  const rest = ((total % WORD) + WORD) % WORD;
  numbers[at] = Number(rest);
  numbers[at + 1] = Number((total - rest) / WORD);
}

/** The sum at `at` as the nearest double. */
export function exactSum(numbers: readonly number[], at: number): number {
  return numbers[at + 1] === 0 ? (numbers[at] as number) : Number(exactOf(numbers, at));
}

function exactOf(numbers: readonly number[], at: number): bigint {
  return BigInt(numbers[at + 1] as number) * WORD + BigInt(numbers[at] as number);
}
