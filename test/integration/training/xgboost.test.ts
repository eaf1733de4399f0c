import { beforeAll, describe, expect, test } from 'vitest';
import { exportModel } from '../../../activities/training/exportModel.js';
import { trainXgboost, type TrainingRows, type XgboostTraining } from '../../../activities/training/trainXgboost.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { findXgboostLibrary } from '../../../infra/xgboostLibrary.js';
import { xgboost } from '../../../models/authoring.js';
import { randomNumbers } from '../../support/payments.js';

const COLUMNS = 4;

interface SavedModel {
  readonly learner: { readonly gradient_booster: { readonly model: { readonly trees: readonly unknown[] } } };
}

/** Positives where the second column is high and the first low; a tenth of the values is missing. */
function rows(count: number, seed: number): TrainingRows {
  const random = randomNumbers(seed);
  const values = Float64Array.from({ length: count * COLUMNS }, () =>
    random() < 0.1 ? Number.NaN : Math.round(random() * 1_000) / 10,
  );
  const labels = Float64Array.from({ length: count }, (_, row) => {
    const [first, second] = [values[row * COLUMNS] ?? 0, values[row * COLUMNS + 1] ?? 0];
    return second > 70 && !(first > 50) && random() < 0.8 ? 1 : 0;
  });
  return { rows: count, columns: COLUMNS, values, labels };
}

describe('training with XGBoost', () => {
  let library: string;
  const train = rows(4_000, 1);
  const spec = xgboost({ rounds: 30, maxDepth: 4, learningRate: 0.3, segmentRounds: 10 }) as XgboostTraining['spec'];
  beforeAll(async () => {
    library = await findXgboostLibrary();
  });

  test.each([
    ['hist', null],
    ['exact', 0.5],
    ['approx', null],
  ] as const)('ends in the same bytes whether or not it was interrupted (%s)', async (treeMethod, baseScore) => {
    const options = { ...spec, treeMethod, baseScore };
    const segments = new Map<number, Uint8Array>();
    const whole = await trainXgboost({
      library,
      spec: options,
      train,
      onSegment: (round, model) => segments.set(round, model),
    });
    expect([...segments.keys()]).toEqual([10, 20]);
    for (const [rounds, model] of segments) {
      const resumed = await trainXgboost({ library, spec: options, train, resume: { rounds, model } });
      expect(resumed.model.equals(whole.model)).toBe(true);
    }
    expect((JSON.parse(whole.model.toString()) as SavedModel).learner.gradient_booster.model.trees).toHaveLength(30);
  });

  test('exports to ONNX with the same probabilities for every row, missing values too', async () => {
    const test = rows(3_000, 2);
    const { model, predictions } = await trainXgboost({ library, spec, train, test });
    const exported = await exportModel(
      { kind: 'xgboost', booster: model },
      { ...test, native: predictions as Float32Array },
    );
    expect(exported.parity.rows).toBe(3_000);
    expect(exported.parity.maxDifference).toBeLessThan(1e-6);
  });

  test('is cancelled between two rounds', async () => {
    const controller = new AbortController();
    const long = { ...spec, rounds: 100_000 };
    const error: unknown = await trainXgboost({
      library,
      spec: long,
      train,
      signal: controller.signal,
      onProgress: (round) => {
        if (round === 5) controller.abort();
      },
    }).catch((reason: unknown) => reason);
    expect(isTidemillError(error, 'TRAINING_CANCELLED')).toBe(true);
  });

  test('names what the library refuses', async () => {
    const error: unknown = await trainXgboost({
      library,
      spec: { ...spec, treeMethod: 'magic' as 'exact' },
      train,
    }).catch((reason: unknown) => reason);
    expect(isTidemillError(error, 'TRAINING_FAILED')).toBe(true);
    expect((error as Error).message).toMatch(/magic/);
  });
});
