/**
 * Seeded random numbers: xoshiro128** 1.1 of Blackman and Vigna (2018), 128 bits of state, period 2^128 - 1.
 *
 *     result = rotl(s1 * 5, 7) * 9
 *     t = s1 << 9;  s2 ^= s0;  s3 ^= s1;  s1 ^= s2;  s0 ^= s3;  s2 ^= t;  s3 = rotl(s3, 11)
 *
 * The same seed gives the same numbers on every machine. Not for secrets.
 */
export interface Random {
  /** Whole number, 0 <= n < 2^32. */
  next(): number;
  /** 0 <= u < 1, with 53 random bits. */
  uniform(): number;
  /** Whole number, 0 <= n < `bound`, each equally likely; 1 <= bound <= 2^32. */
  below(bound: number): number;
  /** Standard normal. */
  normal(): number;
}

/** @param seed a text, such as the hashes of what is compared, or a whole number. */
export function createRandom(seed: string | number): Random {
  return randomFromState(stateOf(String(seed)));
}

/** The generator from a given state of four 32-bit words, not all zero. */
export function randomFromState(state: readonly [number, number, number, number]): Random {
  let [s0, s1, s2, s3] = state.map((word) => word | 0) as [number, number, number, number];

  const next = (): number => {
    const result = Math.imul(rotateLeft(Math.imul(s1, 5), 7), 9);
    const shifted = s1 << 9;
    s2 ^= s0;
    s3 ^= s1;
    s1 ^= s2;
    s0 ^= s3;
    s2 ^= shifted;
    s3 = rotateLeft(s3, 11);
    return result >>> 0;
  };
  const uniform = (): number => ((next() >>> 5) * 67_108_864 + (next() >>> 6)) / 9_007_199_254_740_992;
  const below = (bound: number): number => {
    // Draws beyond the last whole multiple of the bound would make small numbers likelier.
    const limit = 4_294_967_296 - (4_294_967_296 % bound);
    let draw = next();
    while (draw >= limit) draw = next();
    return draw % bound;
  };
  let spare: number | null = null;
  const normal = (): number => {
    if (spare !== null) {
      const value = spare;
      spare = null;
      return value;
    }
    // Box and Muller; 1 - u is never 0.
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  return { next, uniform, below, normal };
}

/** Four words from a text: FNV-1a over its UTF-16 units from four starting points, each mixed to the last bit. */
function stateOf(seed: string): [number, number, number, number] {
  const words = [0x811c9dc5, 0x9e3779b9, 0x85ebca6b, 0xc2b2ae35].map((start) => {
    let hash = start;
    for (let index = 0; index < seed.length; index++) {
      const unit = seed.charCodeAt(index);
      hash = Math.imul(hash ^ (unit & 0xff), 0x01000193);
      hash = Math.imul(hash ^ (unit >>> 8), 0x01000193);
    }
    return mix(hash);
  });
  // All zero is the one state that the generator never leaves.
  return words.every((word) => word === 0) ? [1, 2, 3, 4] : (words as [number, number, number, number]);
}

/** The finaliser of MurmurHash3: every bit of the input moves every bit of the output. */
function mix(word: number): number {
  let mixed = word ^ (word >>> 16);
  mixed = Math.imul(mixed, 0x85ebca6b);
  mixed ^= mixed >>> 13;
  mixed = Math.imul(mixed, 0xc2b2ae35);
  return mixed ^ (mixed >>> 16);
}

function rotateLeft(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
