/**
 * The standard normal distribution, to about 1e-14 relative, tails included.
 *
 * Near 0 the integral is the series  phi(x) (x + x^3/3 + x^5/(3 5) + …);  in the tail the continued fraction of Laplace
 * 1 - Phi(x) = phi(x) / (x + 1/(x + 2/(x + 3/(x + …)))).
 */
const SQRT_2_PI = Math.sqrt(2 * Math.PI);
const SERIES_BELOW = 3;
const FRACTION_TERMS = 120;

export function normalDensity(x: number): number {
  return Math.exp(-0.5 * x * x) / SQRT_2_PI;
}

/** Probability of a value up to `x`. */
export function normalCdf(x: number): number {
  return normalUpper(-x);
}

/** Probability of a value above `x`: 1 - cdf without loss of digits. */
export function normalUpper(x: number): number {
  if (Number.isNaN(x)) return Number.NaN;
  if (Math.abs(x) >= SERIES_BELOW) return x > 0 ? upperTail(x) : 1 - upperTail(-x);
  let term = x;
  let sum = x;
  for (let odd = 3; Math.abs(term) > Math.abs(sum) * 1e-17; odd += 2) {
    term *= (x * x) / odd;
    sum += term;
  }
  return 0.5 - normalDensity(x) * sum;
}

function upperTail(x: number): number {
  let fraction = x;
  for (let term = FRACTION_TERMS; term >= 1; term--) fraction = x + term / fraction;
  return normalDensity(x) / fraction;
}

/** The value that a standard normal falls below with the given probability; infinite at 0 and 1, NaN outside. */
export function normalQuantile(probability: number): number {
  if (!(probability >= 0 && probability <= 1)) return Number.NaN;
  if (probability === 0.5) return 0;
  // The smaller tail keeps its digits.
  return probability < 0.5 ? -upperQuantile(probability) : upperQuantile(1 - probability);
}

/** x > 0 with 1 - cdf(x) = `tail`, tail < 0.5: a rational start (Abramowitz and Stegun 26.2.23), then Halley's steps. */
function upperQuantile(tail: number): number {
  if (tail === 0) return Number.POSITIVE_INFINITY;
  const t = Math.sqrt(-2 * Math.log(tail));
  let x = t - (2.515517 + t * (0.802853 + t * 0.010328)) / (1 + t * (1.432788 + t * (0.189269 + t * 0.001308)));
  for (let step = 0; step < 4; step++) {
    const error = (normalUpper(x) - tail) / normalDensity(x);
    x += error / (1 - 0.5 * x * error);
  }
  return x;
}
