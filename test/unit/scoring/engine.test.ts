import { describe, expect, test } from 'vitest';
import type { DeploymentRecord } from '../../../contracts/records.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { fraud } from '../../../examples/fraud/project.js';
import { logisticToOnnx } from '../../../models/onnx/linearModel.js';
import { createScoringEngine } from '../../../scoring/engine.js';
import type { ScoredRow, Scorer } from '../../../scoring/scorer.js';

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

async function follow(engine: Scorer, ...deployments: readonly DeploymentRecord[]): Promise<void> {
  for (const next of deployments) {
    await engine.prepare(next);
    engine.activate(next);
  }
}

const request = [1, 0, 2, 3, 30_000];
const probability = (intercept: number): number => 1 / (1 + Math.exp(-intercept));
const scoreOne = async (engine: Scorer, vector = new Float64Array(columns)): Promise<ScoredRow> => {
  const [row] = await engine.score(vector, 1, [request], ['2']);
  return row as ScoredRow;
};
/** A vector whose column 3 is null. */
const withNull = new Float64Array(columns);
withNull[3] = Number.NaN;

describe('a scoring engine', () => {
  test('answers by the fallback rules until a version is in force', async () => {
    const engine = createScoringEngine(model, () => Promise.resolve(constant(0)));
    expect(await scoreOne(engine)).toEqual({
      version: 0,
      role: 'fallback',
      epoch: 0,
      score: 0.9,
      decision: 'review',
      arm: 'champion',
      micros: 0,
      others: [],
    });
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
    expect(scored).toMatchObject({ version: 1, role: 'champion', epoch: 2, decision: 'review', others: [] });
    expect(scored.score).toBeCloseTo(probability(1), 6);
    expect(scored.micros).toBeGreaterThan(0);
  });

  test('falls back to the version that the deployment names where one answers nonsense, and opens its breaker', async () => {
    const engine = createScoringEngine(model, (version) => Promise.resolve(constant(version === 1 ? 2 : Number.NaN)));
    await follow(engine, deployment(1, 1), { ...deployment(2, 2), standIn: 1 });
    const problem = 'version 2 answered NaN';
    expect(await scoreOne(engine)).toMatchObject({
      version: 1,
      role: 'fallback',
      epoch: 2,
      others: [{ version: 2, role: 'champion', score: null, decision: null, problem }],
    });
    expect(engine).toMatchObject({ breaker: 'open', problem });
  });

  test('never has a version stand in that the deployment does not name: one that was rolled back serves nothing', async () => {
    const engine = createScoringEngine(model, (version) => Promise.resolve(constant(version === 1 ? Number.NaN : 2)));
    await follow(engine, { ...deployment(1, 2), standIn: 1 }, { ...deployment(2, 1), standIn: null });
    expect(await scoreOne(engine)).toMatchObject({ version: 0, role: 'fallback', epoch: 2 });
  });

  test('follows a deployment whose stand-in cannot be loaded, and says so', async () => {
    const engine = createScoringEngine(model, (version) =>
      version === 1 ? Promise.reject(new Error('no such object')) : Promise.resolve(constant(0)),
    );
    await follow(engine, { ...deployment(1, 2), standIn: 1 });
    expect(engine).toMatchObject({ breaker: 'closed', problem: 'no such object', readyEpoch: 1, activeEpoch: 1 });
    expect(await scoreOne(engine)).toMatchObject({ version: 2, role: 'champion' });
    expect(await scoreOne(engine, withNull)).toMatchObject({ version: 0, role: 'fallback' });
  });

  test('keeps what a later deployment was prepared with while an earlier one comes into force', async () => {
    const engine = createScoringEngine(model, (version) => Promise.resolve(constant(version)));
    for (const epoch of [1, 2, 3]) await engine.prepare(deployment(epoch, epoch));
    for (const epoch of [1, 2, 3]) {
      engine.activate(deployment(epoch, epoch));
      expect(await scoreOne(engine)).toMatchObject({ version: epoch, role: 'champion', epoch });
    }
    expect(() => engine.activate(deployment(4, 4))).toThrow(/not prepared/);
  });

  test('loads a version once, however many deployments name it at a time', async () => {
    let loads = 0;
    const engine = createScoringEngine(model, () => {
      loads++;
      return Promise.resolve(constant(0));
    });
    await Promise.all([engine.prepare(deployment(1, 1)), engine.prepare(deployment(2, 1, 1))]);
    expect(loads).toBe(1);
    expect(engine.readyEpoch).toBe(2);
  });

  test('lets a batch end that is being scored while the engine closes', async () => {
    const engine = createScoringEngine(model, (version) => Promise.resolve(constant(version)));
    await engine.prepare(deployment(1, 1));
    engine.activate(deployment(1, 1));
    const scoring = scoreOne(engine);
    const closing = engine.close();
    expect(await scoring).toMatchObject({ version: 1, role: 'champion' });
    await closing;
    expect(engine.breaker).toBe('closed');
  });

  test('scores a row with a null by the fallback rules where the version takes none, and serves the others', async () => {
    const engine = createScoringEngine(model, (version) => Promise.resolve(constant(version)));
    await engine.prepare(deployment(1, 1));
    engine.activate(deployment(1, 1));
    const vectors = new Float64Array(2 * columns);
    vectors.set(withNull, columns);
    const scored = await engine.score(vectors, 2, [request, request], ['1', '2']);
    expect(scored).toMatchObject([
      { version: 1, role: 'champion', others: [] },
      { version: 0, role: 'fallback', others: [{ version: 1, role: 'champion', score: null }] },
    ]);
    expect(engine.problem).toContain(model.service.columns[3]?.name);
    expect(engine.breaker).toBe('closed');
    expect(await scoreOne(engine)).toMatchObject({ version: 1, role: 'champion' });
  });

  test('opens the breaker and falls back where the champion cannot be loaded, until one can', async () => {
    const engine = createScoringEngine(model, (version) =>
      version === 1 ? Promise.reject(new Error('no such object')) : Promise.resolve(constant(0)),
    );
    await expect(engine.prepare(deployment(1, 1))).rejects.toThrow('no such object');
    expect(engine).toMatchObject({ breaker: 'open', problem: 'no such object', readyEpoch: 0 });
    expect(await scoreOne(engine)).toMatchObject({ version: 0, role: 'fallback' });
    await engine.prepare(deployment(2, 2));
    engine.activate(deployment(2, 2));
    expect(engine).toMatchObject({ breaker: 'closed', problem: null });
    // A version that is only to be prepared does not serve: its failure is a problem, not an outage.
    await expect(engine.prepare(deployment(3, 2, 1))).rejects.toThrow('no such object');
    expect(engine).toMatchObject({ breaker: 'closed', problem: 'no such object', readyEpoch: 2 });
    expect(await scoreOne(engine)).toMatchObject({ version: 2, role: 'champion' });
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
