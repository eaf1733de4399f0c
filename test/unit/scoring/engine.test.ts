import { describe, expect, test } from 'vitest';
import type { DeploymentRecord } from '../../../contracts/records.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { fraud } from '../../../examples/fraud/project.js';
import { logisticToOnnx } from '../../../models/onnx/linearModel.js';
import { createScoringEngine } from '../../../scoring/engine.js';

const model = fraud.compiled;
const columns = model.service.columns.length;

/** A model that answers the logistic function of `intercept`, whatever the input. */
function constant(intercept: number, width = columns): Uint8Array {
  return logisticToOnnx({
    means: new Float64Array(width),
    scales: new Float64Array(width).fill(1),
    weights: new Float64Array(width),
    intercept,
  });
}

function deployment(epoch: number, champion: number | null, prepare: number | null = null): DeploymentRecord {
  return { model: 'fraud', epoch, mode: 'single', champion, challenger: null, share: 0, salt: '', prepare };
}

const request = [1, 0, 2, 3, 30_000];
const scoreOne = (engine: ReturnType<typeof createScoringEngine>) =>
  engine.score(new Float64Array(columns), 1, [request]);

describe('a scoring engine', () => {
  test('answers by the fallback rules until a version is in force', async () => {
    const engine = createScoringEngine(model, () => Promise.resolve(constant(0)));
    expect(await scoreOne(engine)).toMatchObject({ version: 0, role: 'fallback', scores: Float64Array.of(0.9) });
  });

  test('loads without serving, then switches at once; lower epochs are ignored', async () => {
    const engine = createScoringEngine(model, (version) => Promise.resolve(constant(version)));
    await engine.prepare(deployment(1, null, 1));
    expect(engine.readyEpoch).toBe(1);
    expect((await scoreOne(engine)).role).toBe('fallback');
    await engine.prepare(deployment(2, 1));
    engine.activate(deployment(2, 1));
    engine.activate(deployment(1, null, 1));
    const scored = await scoreOne(engine);
    expect(scored).toMatchObject({ version: 1, role: 'champion', epoch: 2 });
    expect(scored.scores[0]).toBeCloseTo(1 / (1 + Math.exp(-1)), 6);
    expect(scored.decisions).toEqual(['review']);
  });

  test('falls back to the version before where one answers nonsense, and opens its breaker', async () => {
    const engine = createScoringEngine(model, (version) => Promise.resolve(constant(version === 1 ? 2 : Number.NaN)));
    for (const [epoch, version] of [
      [1, 1],
      [2, 2],
    ] as const) {
      await engine.prepare(deployment(epoch, version));
      engine.activate(deployment(epoch, version));
    }
    expect(await scoreOne(engine)).toMatchObject({ version: 1 });
    expect(engine.breaker).toBe('open');
  });

  test('refuses a file of another width, and one that is no model', async () => {
    const code = async (bytes: Uint8Array): Promise<string> =>
      createScoringEngine(model, () => Promise.resolve(bytes))
        .prepare(deployment(1, 1))
        .then(
          () => 'nothing',
          (error: unknown) => (isTidemillError(error) ? error.code : String(error)),
        );
    expect(await code(constant(0, columns - 1))).toBe('MODEL_WIDTH_MISMATCH');
    expect(await code(Buffer.from('not a model'))).toBe('MODEL_INVALID');
  });
});
