/**
 * Exact sums of safe integers to 127 bits, without BigInt on the common path: `low` alone while it stays a safe
 * integer, otherwise value = high * 2^53 + low with 0 <= low < 2^53.
 *
 * @example add(2^53 - 1) twice: low overflows, so high = 1, low = 2^53 - 2, the sum is 2^54 - 2 exactly.
 */
export class ExactSum {
  private high = 0;
  private low = 0;

  add(value: number): void {
    const next = this.low + value;
    if (this.high === 0 && Number.isSafeInteger(next)) {
      this.low = next;
      return;
    }
    this.addWords(value);
  }

  subtract(value: number): void {
    this.add(-value);
  }

  private addWords(value: number): void {
    // |low + value| < 2^54 may round, so the words are split before they are added.
    const total = BigInt(this.high) * WORD + BigInt(this.low) + BigInt(value);
    if (total >= -MAX_SAFE && total <= MAX_SAFE) {
      this.high = 0;
      this.low = Number(total);
      return;
    }
    let low = total % WORD;
    if (low < 0n) low += WORD;
    this.low = Number(low);
    this.high = Number((total - low) / WORD);
  }

  /** The sum as an exact integer. */
  get exact(): bigint {
    return this.high === 0 ? BigInt(this.low) : BigInt(this.high) * WORD + BigInt(this.low);
  }

  /** The sum as the nearest double; null beyond 127 bits. */
  get value(): number | null {
    if (this.high === 0) return this.low + 0;
    const exact = this.exact;
    return exact > LIMIT || exact < -LIMIT ? null : Number(exact);
  }
}

/**
 * The same sum in two cells of an array: `words[at]` is low, `words[at + 1]` high. Both start at 0.
 *
 * @param value a safe integer.
 */
export function addToWords(words: Float64Array, at: number, value: number): void {
  const next = (words[at] as number) + value;
  if (words[at + 1] === 0 && next <= Number.MAX_SAFE_INTEGER && next >= -Number.MAX_SAFE_INTEGER) words[at] = next;
  else setWords(words, at, wordsOf(words, at) + BigInt(value));
}

/** Adds the sum at `from` to that at `at`. */
export function addWords(words: Float64Array, at: number, from: number): void {
  if (words[from + 1] === 0) addToWords(words, at, words[from] as number);
  else setWords(words, at, wordsOf(words, at) + wordsOf(words, from));
}

/** The sum as the nearest double; null beyond 127 bits. */
export function valueOfWords(words: Float64Array, at: number): number | null {
  if (words[at + 1] === 0) return (words[at] as number) + 0;
  const exact = wordsOf(words, at);
  return exact > LIMIT || exact < -LIMIT ? null : Number(exact);
}

function wordsOf(words: Float64Array, at: number): bigint {
  return BigInt(words[at + 1] as number) * WORD + BigInt(words[at] as number);
}

function setWords(words: Float64Array, at: number, total: bigint): void {
  if (total >= -MAX_SAFE && total <= MAX_SAFE) {
    words[at] = Number(total);
    words[at + 1] = 0;
    return;
  }
  const low = ((total % WORD) + WORD) % WORD;
  words[at] = Number(low);
  words[at + 1] = Number((total - low) / WORD);
}

const WORD = 1n << 53n;
const MAX_SAFE = BigInt(Number.MAX_SAFE_INTEGER);
const LIMIT = (1n << 127n) - 1n;
