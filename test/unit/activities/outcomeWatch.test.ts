import { describe, expect, test } from 'vitest';
import { outcomeWatch, type WatchEvidence } from '../../../activities/watchEvidence.js';
import type { OutcomeRecord, PredictionRecord } from '../../../contracts/records.js';
import type { Watch } from '../../../contracts/rollout.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { CompiledModel } from '../../../models/definition.js';

const HORIZON_MS = 1_000;
const WATCH: Watch = {
  step: 'probation',
  kind: 'probation',
  version: 2,
  reference: 1,
  share: 0,
  wanted: 10,
  atMostMs: 1,
};

function watching(absence: 'missing' | 'negative'): WatchEvidence {
  const { compiled } = fraud;
  const model: CompiledModel = { ...compiled, label: { ...compiled.label, absence, horizonMs: HORIZON_MS } };
  return outcomeWatch(model, WATCH, 1, 1, null);
}

function observe(evidence: WatchEvidence, more: Partial<OutcomeRecord>): void {
  const outcome: Partial<OutcomeRecord> = {
    id: 1,
    at: 0,
    knownAt: 0,
    version: 2,
    epoch: 1,
    score: 0.5,
    others: [{ version: 1, score: 0.5 }],
    label: 1,
    entity: null,
    revision: 0,
    source: 'natural',
    ...more,
  };
  evidence.observe(outcome as OutcomeRecord & PredictionRecord);
}
const rowsOf = (evidence: WatchEvidence): number => evidence.judge(1)[0]?.rows ?? -1;

describe('the outcomes of a probation', () => {
  test('wait for those of their time by the hundred thousand', () => {
    const evidence = watching('negative');
    const positives = 200_000;
    for (let id = 0; id < positives; id++) observe(evidence, { id, at: id === 0 ? 0 : 10 });
    expect(evidence.seen).toBe(0);
    observe(evidence, { id: -1, at: 0, knownAt: HORIZON_MS, label: 0, source: 'absence' });
    expect(evidence.seen).toBe(1);
    observe(evidence, { id: -2, at: 10, knownAt: HORIZON_MS + 10, label: 0, source: 'absence' });
    expect(evidence.seen).toBe(positives);
  });

  test('say nothing where what was known of them turned out not to be trusted', () => {
    const evidence = watching('missing');
    observe(evidence, { id: 1 });
    observe(evidence, { id: 2 });
    observe(evidence, { id: 3, source: 'censored' });
    expect(rowsOf(evidence)).toBe(2);
    observe(evidence, { id: 2, revision: 1, source: 'censored' });
    expect(rowsOf(evidence)).toBe(1);
  });
});
