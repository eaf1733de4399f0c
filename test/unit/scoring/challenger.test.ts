import { describe, expect, test } from 'vitest';
import type { DeploymentRecord } from '../../../contracts/records.js';
import { fraud } from '../../../examples/fraud/project.js';
import { logisticToOnnx } from '../../../models/onnx/linearModel.js';
import { createScoringEngine } from '../../../scoring/engine.js';
import type { ScoredRow, Scorer } from '../../../scoring/scorer.js';
import { armOf } from '../../../scoring/split.js';

const model = fraud.compiled;
const columns = model.service.columns.length;
const ROWS = 200;
const requests = Array.from({ length: ROWS }, (_, row) => [row, 0, row, 3, 30_000]);
const units = requests.map(([, , customer]) => String(customer));

/** A model that answers the logistic function of `intercept`; NaN where an input is null. */
function constant(intercept: number): Uint8Array {
  return logisticToOnnx({
    means: new Float64Array(columns),
    scales: new Float64Array(columns).fill(1),
    weights: new Float64Array(columns),
    intercept,
  });
}
const scoreOf = (version: number): number => 1 / (1 + Math.exp(-version));

/** Versions answer the logistic function of their number; those named are broken or cannot be loaded. */
function engineWith(options: { readonly nonsense?: readonly number[]; readonly missing?: readonly number[] } = {}) {
  const engine = createScoringEngine(model, (version) => {
    return options.missing?.includes(version) === true
      ? Promise.reject(new Error(`no file of version ${version}`))
      : Promise.resolve(constant(options.nonsense?.includes(version) === true ? Number.NaN : version));
  });
  return { engine };
}

function deployment(epoch: number, next: Partial<DeploymentRecord>): DeploymentRecord {
  const none = { mode: 'single', champion: null, challenger: null, share: 0, salt: 'fraud/1', prepare: null } as const;
  return { model: 'fraud', epoch, ...none, ...next };
}
const shadow = (epoch: number, champion: number | null = 1, challenger = 2): DeploymentRecord =>
  deployment(epoch, { mode: 'shadow', champion, challenger });
const canary = (epoch: number, share: number, champion: number | null = 1): DeploymentRecord =>
  deployment(epoch, { mode: 'canary', champion, challenger: 2, share });

async function follow(engine: Scorer, ...deployments: readonly DeploymentRecord[]): Promise<void> {
  for (const next of deployments) {
    await engine.prepare(next);
    engine.activate(next);
  }
}
const scoreAll = (engine: Scorer, vectors = new Float64Array(ROWS * columns)): Promise<readonly ScoredRow[]> =>
  engine.score(vectors, ROWS, requests, units);

describe('a deployment in shadow', () => {
  test('serves the champion and has the challenger’s score, decision and time of every row', async () => {
    const { engine } = engineWith();
    await follow(engine, shadow(1, 1, 3));
    for (const row of await scoreAll(engine)) {
      expect(row).toMatchObject({ version: 1, role: 'champion', epoch: 1, arm: 'champion', decision: 'review' });
      expect(row.others).toMatchObject([{ version: 3, role: 'challenger', decision: 'block', problem: null }]);
      expect(row.score).toBeCloseTo(scoreOf(1), 6);
      expect(row.others[0]?.score).toBeCloseTo(scoreOf(3), 6);
      expect(row.micros).toBeGreaterThan(0);
      expect(row.others[0]?.micros).toBeGreaterThan(0);
    }
  });

  test('is not hurt by a challenger that answers nonsense: asked once, its problem stands in every row', async () => {
    const { engine } = engineWith({ nonsense: [2] });
    await follow(engine, shadow(1));
    const rows = [...(await scoreAll(engine)), ...(await scoreAll(engine))];
    for (const row of rows) {
      expect(row).toMatchObject({ version: 1, role: 'champion' });
      expect(row.others).toMatchObject([
        { version: 2, role: 'challenger', score: null, decision: null, problem: 'version 2 answered NaN' },
      ]);
    }
    expect(rows[0]?.others[0]?.micros).toBeGreaterThan(0);
    expect(rows.at(-1)?.others[0]?.micros).toBe(0);
    expect(engine).toMatchObject({ breaker: 'closed', problem: 'version 2 answered NaN' });
  });

  test('leaves out the challenger’s score of the row with a null alone, where the challenger takes none', async () => {
    const { engine } = engineWith();
    await follow(engine, shadow(1));
    const vectors = new Float64Array(ROWS * columns);
    vectors[7 * columns + 3] = Number.NaN;
    const rows = await scoreAll(engine, vectors);
    const silent = rows.flatMap(({ others }, at) => (others.some(({ score }) => score === null) ? [at] : []));
    expect(silent).toEqual([7]);
  });

  test('has no champion at first: the rules serve, the challenger is scored', async () => {
    const { engine } = engineWith();
    await follow(engine, shadow(1, null));
    for (const row of await scoreAll(engine)) {
      expect(row).toMatchObject({ version: 0, role: 'fallback', others: [{ version: 2, role: 'challenger' }] });
    }
  });

  test('in probation the predecessor is both: asked once, and first in line for the champion', async () => {
    const { engine } = engineWith({ nonsense: [2] });
    await follow(engine, { ...shadow(1, 2, 1), standIn: 1 });
    for (const row of await scoreAll(engine)) {
      expect(row).toMatchObject({ version: 1, role: 'fallback' });
      expect(row.others).toMatchObject([
        { version: 2, role: 'champion', score: null },
        { version: 1, role: 'challenger', score: row.score, micros: row.micros },
      ]);
    }
  });
});

describe('a deployment in canary', () => {
  test.each([0.1, 0.5, 1])('gives each row to its arm and has both scores of it (share %d)', async (share) => {
    const { engine } = engineWith();
    await follow(engine, canary(1, share));
    const rows = await scoreAll(engine);
    for (const [at, row] of rows.entries()) {
      const arm = armOf(canary(1, share), units[at] as string);
      const [version, other] = arm === 'challenger' ? [2, 1] : [1, 2];
      expect(row).toMatchObject({ arm, version, role: arm, others: [{ version: other, problem: null }] });
      expect(row.score).toBeCloseTo(scoreOf(version), 6);
      expect(row.others[0]?.score).toBeCloseTo(scoreOf(other), 6);
    }
    expect(rows.some(({ arm }) => arm === 'challenger')).toBe(true);
  });

  test('has the champion stand in for a challenger that fails, in its arm, too', async () => {
    const { engine } = engineWith({ nonsense: [2] });
    await follow(engine, canary(1, 0.5));
    const rows = await scoreAll(engine);
    for (const row of rows) {
      expect(row).toMatchObject({ version: 1, role: 'champion', others: [{ version: 2, score: null }] });
    }
    expect(new Set(rows.map(({ arm }) => arm)).size).toBe(2);
    expect(engine.breaker).toBe('closed');
  });

  test('never has the challenger stand in for the champion: a former one that the deployment names does, then the rules', async () => {
    const { engine } = engineWith({ nonsense: [1] });
    await follow(engine, canary(1, 0.5));
    for (const row of await scoreAll(engine)) {
      const champion = { version: 1, role: 'champion', score: null, problem: 'version 1 answered NaN' };
      if (row.arm === 'challenger') expect(row).toMatchObject({ version: 2, role: 'challenger', others: [champion] });
      else
        expect(row).toMatchObject({ version: 0, role: 'fallback', others: [champion, { version: 2, problem: null }] });
    }
    expect(engine.breaker).toBe('open');

    const after = engineWith({ nonsense: [1] });
    await follow(after.engine, { ...canary(1, 0.5), standIn: 5 });
    for (const row of await scoreAll(after.engine)) {
      expect([row.role, row.version]).toEqual(row.arm === 'challenger' ? ['challenger', 2] : ['fallback', 5]);
    }
  });

  test('without a champion pairs the challenger with the rules, as version 0', async () => {
    const { engine } = engineWith();
    await follow(engine, canary(1, 0.5, null));
    for (const row of await scoreAll(engine)) {
      if (row.arm === 'champion') expect(row).toMatchObject({ version: 0, role: 'fallback', others: [{ version: 2 }] });
      else
        expect(row).toMatchObject({
          version: 2,
          others: [{ version: 0, role: 'champion', score: 0.9, problem: null }],
        });
    }
  });
});

describe('a change of the deployment', () => {
  test('leaves a batch that is being scored with the deployment that it began with, both versions of it', async () => {
    const { engine } = engineWith();
    await follow(engine, shadow(1));
    await engine.prepare(deployment(2, { champion: 3 }));
    const before = scoreAll(engine);
    engine.activate(deployment(2, { champion: 3 }));
    for (const row of await before) {
      expect(row).toMatchObject({ version: 1, epoch: 1, others: [{ version: 2, problem: null }] });
    }
    expect((await scoreAll(engine))[0]).toMatchObject({ version: 3, epoch: 2, others: [] });
  });

  test('is not claimed where the challenger cannot be loaded: the last good deployment serves on', async () => {
    const { engine } = engineWith({ missing: [2] });
    await follow(engine, deployment(1, { champion: 1 }));
    await expect(engine.prepare(shadow(2))).rejects.toThrow('no file of version 2');
    expect(engine).toMatchObject({
      readyEpoch: 1,
      activeEpoch: 1,
      breaker: 'closed',
      problem: 'no file of version 2',
    });
    expect((await scoreAll(engine))[0]).toMatchObject({ version: 1, role: 'champion', epoch: 1, others: [] });
  });

  test('that cannot be followed whole still serves its champion where nothing serves yet', async () => {
    const missing = [2];
    const { engine } = engineWith({ missing });
    await expect(engine.prepare(canary(4, 0.5))).rejects.toThrow('no file of version 2');
    expect(engine).toMatchObject({ readyEpoch: 0, activeEpoch: 0, breaker: 'closed' });
    const rows = await scoreAll(engine);
    for (const row of rows) {
      expect(row).toMatchObject({ version: 1, role: 'champion', epoch: 4 });
      expect(row.others).toMatchObject([{ version: 2, score: null, problem: 'version 2 is not loaded' }]);
    }
    expect(new Set(rows.map(({ arm }) => arm)).size).toBe(2);
    missing.pop();
    await follow(engine, canary(4, 0.5));
    expect(engine).toMatchObject({ readyEpoch: 4, activeEpoch: 4, problem: null });
    expect((await scoreAll(engine)).some(({ role }) => role === 'challenger')).toBe(true);
  });

  test('does not make scoring wait while its versions are loaded, nor the next change', async () => {
    let asked = 0;
    let arrive: (bytes: Uint8Array) => void = () => undefined;
    const engine = createScoringEngine(model, (version) =>
      version === 2
        ? new Promise((resolve) => {
            asked++;
            arrive = resolve;
          })
        : Promise.resolve(constant(version)),
    );
    await follow(engine, deployment(1, { champion: 1 }));
    const preparing = engine.prepare(shadow(2));
    expect((await scoreAll(engine))[0]).toMatchObject({ version: 1, epoch: 1 });
    await follow(engine, deployment(3, { champion: 3 }));
    arrive(constant(2));
    await preparing;
    engine.activate(shadow(2));
    expect(engine).toMatchObject({ readyEpoch: 3, activeEpoch: 3, problem: null });
    expect((await scoreAll(engine))[0]).toMatchObject({ version: 3, epoch: 3, others: [] });
    // What was overtaken has not stayed in memory: it is loaded anew where it is named again.
    const again = engine.prepare(shadow(4, 3));
    await expect.poll(() => asked).toBe(2);
    arrive(constant(2));
    await again;
    expect(engine.readyEpoch).toBe(4);
  });

  test('that is overtaken while it fails to load is nobody’s problem', async () => {
    let fail: (error: Error) => void = () => undefined;
    const engine = createScoringEngine(model, (version) =>
      version === 2
        ? new Promise((_resolve, reject) => {
            fail = reject;
          })
        : Promise.resolve(constant(version)),
    );
    const preparing = engine.prepare(shadow(1));
    await follow(engine, deployment(2, { champion: 3 }));
    fail(new Error('too late'));
    await expect(preparing).rejects.toThrow('too late');
    expect(engine).toMatchObject({ readyEpoch: 2, activeEpoch: 2, breaker: 'closed', problem: null });
  });
});
