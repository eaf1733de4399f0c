import { describe, expect, test } from 'vitest';
import type { DeploymentRecord } from '../../../contracts/records.js';
import { customerSpending, fraud, moment, terminalRisk, transactions } from '../../../examples/fraud/project.js';
import { featureService, type ServiceInput } from '../../../features/authoring/featureService.js';
import type { CompiledService } from '../../../features/compiledView.js';
import { layOut } from '../../../features/vectorLayout.js';
import { logisticToOnnx } from '../../../models/onnx/linearModel.js';
import { createScoringEngine } from '../../../scoring/engine.js';
import type { ScoredRow } from '../../../scoring/scorer.js';

const serviceOf = (...inputs: readonly ServiceInput[]): CompiledService =>
  featureService('inputs', { on: transactions, inputs }).compiled;
const services = [serviceOf(moment, customerSpending), serviceOf(terminalRisk, moment)] as const;
const layout = layOut(services);
const request = [1, 0, 2, 3, 1_000];
const deployment: DeploymentRecord = {
  model: 'fraud',
  epoch: 1,
  mode: 'shadow',
  champion: 1,
  challenger: 2,
  share: 0,
  salt: '',
  prepare: null,
};

/** Version n reads service n, and answers the logistic function of a thousandth of the sum of its columns. */
async function score(
  absent: readonly (readonly number[] | null)[] | null,
  given = layout,
): Promise<readonly ScoredRow[]> {
  const serviceAt = (version: number): CompiledService => services[version - 1] as CompiledService;
  const file = (version: number): Uint8Array => {
    const { length } = serviceAt(version).columns;
    return logisticToOnnx({
      means: new Float64Array(length),
      scales: new Float64Array(length).fill(1),
      weights: new Float64Array(length).fill(0.001),
      intercept: 0,
    });
  };
  const engine = createScoringEngine(
    fraud.compiled,
    (version) => Promise.resolve(file(version)),
    (version) => Promise.resolve(serviceAt(version)),
  );
  await engine.prepare(deployment);
  engine.activate(deployment);
  const rows = 2;
  const vectors = Float64Array.from({ length: rows * given.width }, (_, at) => at);
  for (const [row, lacking] of (absent ?? []).entries()) {
    for (const input of lacking ?? []) {
      const { start, input: read } = given.inputs[input] as (typeof given.inputs)[number];
      vectors.fill(Number.NaN, row * given.width + start, row * given.width + start + read.view.features.length);
    }
  }
  const scored = await engine.score(vectors, rows, [request, request], ['a', 'b'], { layout: given, absent });
  await engine.close();
  return scored;
}
/** What a version answers to the row that begins with the column `first` of the counted ones. */
function expected(service: CompiledService, first: number): number {
  let sum = 0;
  for (const { input, feature } of service.columns) {
    const view = service.inputs[input]?.view;
    sum += first + (layout.inputs.find((each) => each.input.view === view)?.start as number) + feature;
  }
  return 1 / (1 + Math.exp(-sum / 1_000));
}

describe('versions of different services', () => {
  test('score the same rows, each its own columns', async () => {
    const scored = await score(null);
    for (const [row, { score: champion, others }] of scored.entries()) {
      expect(champion).toBeCloseTo(expected(services[0], row * layout.width), 5);
      expect(others).toMatchObject([{ version: 2, role: 'challenger', problem: null }]);
      expect(others[0]?.score).toBeCloseTo(expected(services[1], row * layout.width), 5);
    }
  });

  test('leave a row unscored that lacks columns of theirs, and say so; others score it', async () => {
    const [first, second] = (await score([[2], null])) as [ScoredRow, ScoredRow];
    expect([first.version, first.role]).toEqual([1, 'champion']);
    expect(first.others).toMatchObject([{ version: 2, score: null }]);
    expect(first.others[0]?.problem).toMatch(/terminal_risk/);
    expect(second.others[0]?.score).toBeCloseTo(expected(services[1], layout.width), 5);
  });

  test('are not asked where nobody computes what they read', async () => {
    const [row] = await score(null, layOut([services[0]]));
    expect([row?.version, row?.role]).toEqual([1, 'champion']);
    expect(row?.others).toMatchObject([
      { version: 2, score: null, problem: 'version 2 reads terminal_risk, which is not computed here' },
    ]);
  });
});
