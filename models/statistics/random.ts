/** Seeded random numbers: equal seeds give equal sequences on every machine. */
export interface RandomNumbers {
  /** Uniform in [0, 1). */
  next(): number;
  /** Uniform integer in [0, bound). */
  below(bound: number): number;
}

/**
 * xoshiro128**, seeded by SplitMix32. Source: D. Blackman and S. Vigna, "Scrambled linear pseudorandom number generators"
 * (2021).
 */
export function seededRandom(seed: number): RandomNumbers {
  let mix = seed >>> 0;
  const splitMix = (): number => {
    mix = (mix + 0x9e37_79b9) >>> 0;
    let z = mix;
    z = Math.imul(z ^ (z >>> 16), 0x85eb_ca6b);
    z = Math.imul(z ^ (z >>> 13), 0xc2b2_ae35);
    return (z ^ (z >>> 16)) >>> 0;
  };
  let [a, b, c, d] = [splitMix(), splitMix(), splitMix(), splitMix()];
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
  return { next, below: (bound) => Math.floor(next() * bound) };
}
