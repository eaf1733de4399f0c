import { assert, TidemillError } from '../contracts/errors.js';

/** Logistic regression on standardised inputs. */
export interface LogisticModel {
  readonly means: Float64Array;
  /** Standard deviation of the population; 1 where a column is constant. */
  readonly scales: Float64Array;
  readonly weights: Float64Array;
  readonly intercept: number;
}

/**
 * Fits by Newton's method (iteratively reweighted least squares) the minimum of
 *
 *   l2 / 2 · |w|² + Σ log(1 + exp(-y (w · z + b)))      z = (x - mean) / scale, y = ±1
 *
 * which is unique; the intercept b is not penalised.
 *
 * @param values row-major.
 * @throws TidemillError DATASET_HAS_NULLS: a linear model refuses nulls; give the view `orElse`.
 */
export function fitLogistic(
  values: Float64Array,
  columns: number,
  labels: Float64Array,
  options: {
    readonly l2: number;
    readonly maxIterations: number;
    readonly columnNames: readonly string[];
    readonly onIteration?: (iteration: number) => void;
  },
): LogisticModel {
  const rows = labels.length;
  assert(rows > 0, 'a logistic regression without rows');
  const { means, scales } = standardisation(values, columns, rows, options.columnNames);
  const size = columns + 1;
  let weights = new Float64Array(size);
  const z = new Float64Array(size);
  z[columns] = 1;
  const objective = (candidate: Float64Array): number => {
    let sum = 0;
    for (let column = 0; column < columns; column++) sum += (options.l2 / 2) * (candidate[column] as number) ** 2;
    for (let row = 0; row < rows; row++) {
      let margin = candidate[columns] as number;
      for (let column = 0; column < columns; column++) {
        margin +=
          (candidate[column] as number) *
          (((values[row * columns + column] as number) - (means[column] as number)) / (scales[column] as number));
      }
      const signed = labels[row] === 1 ? margin : -margin;
      sum += signed > 0 ? Math.log1p(Math.exp(-signed)) : -signed + Math.log1p(Math.exp(signed));
    }
    return sum;
  };
  let loss = objective(weights);
  for (let iteration = 0; iteration < options.maxIterations; iteration++) {
    const gradient = new Float64Array(size);
    const hessian = new Float64Array(size * size);
    for (let row = 0; row < rows; row++) {
      let margin = 0;
      for (let column = 0; column < columns; column++) {
        z[column] =
          ((values[row * columns + column] as number) - (means[column] as number)) / (scales[column] as number);
      }
      for (let at = 0; at < size; at++) margin += (weights[at] as number) * (z[at] as number);
      const probability = 1 / (1 + Math.exp(-margin));
      const error = probability - (labels[row] as number);
      const curvature = probability * (1 - probability);
      for (let at = 0; at < size; at++) {
        const za = z[at] as number;
        gradient[at] = (gradient[at] as number) + error * za;
        const scaled = curvature * za;
        for (let other = 0; other <= at; other++) {
          hessian[at * size + other] = (hessian[at * size + other] as number) + scaled * (z[other] as number);
        }
      }
    }
    for (let at = 0; at < columns; at++) {
      gradient[at] = (gradient[at] as number) + options.l2 * (weights[at] as number);
      hessian[at * size + at] = (hessian[at * size + at] as number) + options.l2;
    }
    const step = solve(hessian, gradient, size);
    // Halved until it goes down: far from the minimum the full step may overshoot.
    let next = weights;
    let nextLoss = Number.POSITIVE_INFINITY;
    for (let factor = 1; factor > 1e-10 && !(nextLoss <= loss); factor /= 2) {
      next = weights.map((weight, at) => weight - factor * (step[at] as number));
      nextLoss = objective(next);
    }
    if (!(nextLoss <= loss)) break;
    weights = next;
    options.onIteration?.(iteration + 1);
    const gain = loss - nextLoss;
    loss = nextLoss;
    if (gain <= 1e-12 * Math.max(1, loss)) break;
  }
  return { means, scales, weights: weights.slice(0, columns), intercept: weights[columns] as number };
}

/** Probability of one row. */
export function predictLogistic(
  { means, scales, weights, intercept }: LogisticModel,
  values: Float64Array,
  row: number,
): number {
  let margin = intercept;
  const start = row * weights.length;
  for (let column = 0; column < weights.length; column++) {
    margin +=
      (weights[column] as number) *
      (((values[start + column] as number) - (means[column] as number)) / (scales[column] as number));
  }
  return 1 / (1 + Math.exp(-margin));
}

/** Probabilities of `rows` rows. */
export function logisticProbabilities(model: LogisticModel, values: Float64Array, rows: number): Float64Array {
  return Float64Array.from({ length: rows }, (_, row) => predictLogistic(model, values, row));
}

function standardisation(
  values: Float64Array,
  columns: number,
  rows: number,
  names: readonly string[],
): { means: Float64Array; scales: Float64Array } {
  const means = new Float64Array(columns);
  const scales = new Float64Array(columns);
  for (let column = 0; column < columns; column++) {
    let sum = 0;
    for (let row = 0; row < rows; row++) sum += values[row * columns + column] as number;
    if (Number.isNaN(sum)) {
      throw new TidemillError(
        'DATASET_HAS_NULLS',
        `column ${names[column]} has nulls, which a linear model cannot take`,
        {
          column: names[column],
        },
      );
    }
    const mean = sum / rows;
    let squares = 0;
    for (let row = 0; row < rows; row++) squares += ((values[row * columns + column] as number) - mean) ** 2;
    means[column] = mean;
    const deviation = Math.sqrt(squares / rows);
    scales[column] = deviation === 0 ? 1 : deviation;
  }
  return { means, scales };
}

/** Solves A x = b for a symmetric positive definite A, given by its lower triangle, by Cholesky. */
function solve(matrix: Float64Array, right: Float64Array, size: number): Float64Array {
  const lower = new Float64Array(matrix);
  for (let column = 0; column < size; column++) {
    for (let row = column; row < size; row++) {
      let sum = lower[row * size + column] as number;
      for (let at = 0; at < column; at++)
        sum -= (lower[row * size + at] as number) * (lower[column * size + at] as number);
      // A column that depends on others has no curvature of its own left.
      lower[row * size + column] =
        row === column ? Math.sqrt(Math.max(sum, 1e-12)) : sum / (lower[column * size + column] as number);
    }
  }
  const solution = new Float64Array(right);
  for (let row = 0; row < size; row++) {
    for (let at = 0; at < row; at++)
      solution[row] = (solution[row] as number) - (lower[row * size + at] as number) * (solution[at] as number);
    solution[row] = (solution[row] as number) / (lower[row * size + row] as number);
  }
  for (let row = size - 1; row >= 0; row--) {
    for (let at = row + 1; at < size; at++)
      solution[row] = (solution[row] as number) - (lower[at * size + row] as number) * (solution[at] as number);
    solution[row] = (solution[row] as number) / (lower[row * size + row] as number);
  }
  return solution;
}
