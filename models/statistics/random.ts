/**
 * Seeded random numbers: equal seeds give equal sequences on every machine. Not for secrets.
 *
 * xoshiro128** 1.1, 128 bits of state, period 2^128 - 1. Source: D. Blackman and S. Vigna, "Scrambled linear pseudorandom
 * number generators" (2021).
 *
 *     result = rotl(b * 5, 7) * 9
 *     t = b << 9;  c ^= a;  d ^= b;  b ^= c;  a ^= d;  c ^= t;  d = rotl(d, 11)
 */
export interface RandomNumbers {
  /** Uniform in [0, 1), with 53 random bits. */
  next(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
  /** Standard normal. */
  normal(): number;
  /** Uniform integer in [0, 2^32). */
  word(): number;
}

/** @param seed a whole number below 2^32, or a text, such as the hashes of what is compared. */
export function seededRandom(seed: number | string): RandomNumbers {
  return randomFromState(typeof seed === 'number' ? stateOfNumber(seed) : stateOfText(seed));
}

/** The generator from a state of four 32-bit words, not all zero. */
export function randomFromState(state: readonly [number, number, number, number]): RandomNumbers {
  let [a, b, c, d] = state.map((part) => part | 0) as [number, number, number, number];
  const word = (): number => {
    const product = Math.imul(b, 5);
    const result = Math.imul((product << 7) | (product >>> 25), 9) >>> 0;
    const shifted = b << 9;
    c ^= a;
    d ^= b;
    b ^= c;
    a ^= d;
    c ^= shifted;
    d = (d << 11) | (d >>> 21);
    return result;
  };
  const next = (): number => (word() * 0x20_0000 + (word() >>> 11)) / 0x20_0000_0000_0000;
  let spare: number | null = null;
  const normal = (): number => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    // Box and Muller; 1 - next() is never 0.
    const radius = Math.sqrt(-2 * Math.log(1 - next()));
    const angle = 2 * Math.PI * next();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return { next, below: (bound) => Math.floor(next() * bound), normal, word };
}

/** SplitMix32. */
function stateOfNumber(seed: number): [number, number, number, number] {
  let counter = seed >>> 0;
  const splitMix = (): number => {
    counter = (counter + 0x9e37_79b9) >>> 0;
    return mixed(counter);
  };
  return [splitMix(), splitMix(), splitMix(), splitMix()];
}

/** FNV-1a over the UTF-16 units of the text from four starting points, each mixed to the last bit. */
function stateOfText(seed: string): [number, number, number, number] {
  const words = [0x811c_9dc5, 0x9e37_79b9, 0x85eb_ca6b, 0xc2b2_ae35].map((start) => {
    let hash = start;
    for (let index = 0; index < seed.length; index++) {
      const unit = seed.charCodeAt(index);
      hash = Math.imul(hash ^ (unit & 0xff), 0x0100_0193);
      hash = Math.imul(hash ^ (unit >>> 8), 0x0100_0193);
    }
    return mixed(hash);
  });
  // All zero is the one state that the generator never leaves.
  return words.every((each) => each === 0) ? [1, 2, 3, 4] : (words as [number, number, number, number]);
}

/** The finaliser of MurmurHash3: every bit of the input moves every bit of the output. */
function mixed(input: number): number {
  let word = Math.imul(input ^ (input >>> 16), 0x85eb_ca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2_ae35);
  return (word ^ (word >>> 16)) >>> 0;
}
