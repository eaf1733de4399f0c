import { describe, expect, test } from 'vitest';
import { trainLogistic, type LogisticTraining } from '../../../activities/training/trainLogistic.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { logistic } from '../../../models/authoring.js';
import { fitLogistic, logisticProbabilities } from '../../../models/logistic.js';
import { randomNumbers } from '../../support/payments.js';

const COLUMNS = 8;
const columnNames = Array.from({ length: COLUMNS }, (_, at) => `column ${at}`);
const spec = logistic() as LogisticTraining['spec'];

function rows(count: number, seed: number): LogisticTraining['train'] {
  const random = randomNumbers(seed);
  const values = Float64Array.from({ length: count * COLUMNS }, () => random());
  const labels = Float64Array.from({ length: count }, (_, row) =>
    (values[row * COLUMNS] as number) + 0.5 * random() > 0.9 ? 1 : 0,
  );
  return { rows: count, columns: COLUMNS, values, labels };
}

describe('a logistic regression in a thread', () => {
  const train = rows(2_000, 1);
  const held = rows(500, 2);

  test('is the one that the function fits, and so are its probabilities', async () => {
    const iterations: number[] = [];
    const fitted = await trainLogistic({
      spec,
      train,
      test: held,
      columnNames,
      onProgress: (iteration) => iterations.push(iteration),
    });
    const model = fitLogistic(train.values, COLUMNS, train.labels, { ...spec, columnNames });
    expect(fitted.model).toEqual(model);
    expect(fitted.predictions).toEqual(logisticProbabilities(model, held.values, held.rows));
    expect(iterations.length).toBeGreaterThan(1);
  });

  test('leaves the event loop to others while it fits', async () => {
    const large = rows(100_000, 3);
    let ticks = 0;
    const timer = setInterval(() => ticks++, 1);
    await trainLogistic({ spec, train: large, test: held, columnNames });
    clearInterval(timer);
    // A fit on this thread would let no timer go off before it is done.
    expect(ticks).toBeGreaterThan(0);
  });

  test('is cancelled between two iterations', async () => {
    const controller = new AbortController();
    let reached = 0;
    const error: unknown = await trainLogistic({
      spec: { ...spec, maxIterations: 1_000_000 },
      train: rows(100_000, 4),
      test: held,
      columnNames,
      signal: controller.signal,
      onProgress: (iteration) => {
        reached = iteration;
        controller.abort();
      },
    }).catch((reason: unknown) => reason);
    expect(isTidemillError(error, 'TRAINING_CANCELLED')).toBe(true);
    expect(reached).toBeGreaterThan(0);
  });

  test('is not begun where it was cancelled before', async () => {
    const error: unknown = await trainLogistic({
      spec,
      train: rows(100_000, 4),
      test: held,
      columnNames,
      signal: AbortSignal.abort(),
    }).catch((reason: unknown) => reason);
    expect(isTidemillError(error, 'TRAINING_CANCELLED')).toBe(true);
  });

  test('names the column that has nulls, as the function does', async () => {
    const values = train.values.slice();
    values[3] = Number.NaN;
    const error: unknown = await trainLogistic({ spec, train: { ...train, values }, test: held, columnNames }).catch(
      (reason: unknown) => reason,
    );
    expect(error).toMatchObject({ code: 'DATASET_HAS_NULLS', details: { column: 'column 3' } });
  });
});
