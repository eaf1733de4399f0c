import { describe, expect, test } from 'vitest';
import type { OtherScore, OutcomeRecord } from '../../../contracts/records.js';
import { hopTopic, outcomesTopic, predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { CompiledModel } from '../../../models/definition.js';
import { seededRandom } from '../../../models/statistics/random.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { StreamTask } from '../../../streams/runtime/topology.js';
import type { Half, OutcomeBlock, PredictionHalf } from '../../../streams/topologies/outcome/outcomeHalves.js';
import { outcomeTopology } from '../../../streams/topologies/outcome/outcomeTopology.js';
import { labelRecord, payments } from '../../support/payments.js';
import { predictionOf } from '../../support/predictions.js';
import { driveTask } from '../../support/taskDriver.js';

const project = 'p';
const topology = outcomeTopology({ project, model: fraud.compiled, generation: 1, partitions: 1 });
const hop = { topic: hopTopic({ project, name: 'outcome.fraud', generation: 1 }, 'event'), partition: 0 };
const timestamp = Date.parse('2026-01-01');

const other = (given: Partial<OtherScore>): OtherScore => ({
  version: 1,
  role: 'champion',
  score: 0.5,
  decision: 'allow',
  micros: 10,
  problem: null,
  ...given,
});

test('an outcome carries the arm and the scores of the other versions; those that failed are left out', async () => {
  const [first, second, third] = payments(3, { seed: 1 });
  const predictions = [
    predictionOf({
      id: 0,
      at: first?.at ?? 0,
      role: 'challenger',
      version: 2,
      arm: 'challenger',
      others: [other({ score: 0.75 })],
    }),
    predictionOf({
      id: 1,
      at: second?.at ?? 0,
      others: [other({ version: 2, role: 'challenger', score: null, decision: null, problem: 'broken' })],
    }),
    predictionOf({
      id: 2,
      at: third?.at ?? 0,
      role: 'fallback',
      version: 0,
      others: [other({ score: null, problem: 'broken' }), other({ version: 2, role: 'challenger', score: 0 })],
    }),
  ];
  const labels = [first, second, third].flatMap((each) => (each === undefined ? [] : [labelRecord(project, each)]));
  const inputs = [
    ...predictions.map((prediction) => ({
      topic: predictionsTopic(project, 'fraud'),
      value: JSON.stringify(prediction),
    })),
    ...labels,
  ];
  const split = await driveTask({
    create: () => topology.createTask('split-0', []),
    records: inputs.map(({ topic, value }, offset): LogRecord => {
      return { topic, partition: 0, offset, timestamp, key: null, value: Buffer.from(String(value)), headers: {} };
    }),
    commitEvery: 2,
    snapshotEvery: 1,
  });
  const { outputs } = await driveTask({
    create: () => topology.createTask('join-0', [hop]),
    records: split.outputs.map(({ value }, offset): LogRecord => {
      return { ...hop, offset, timestamp, key: null, value: Buffer.from(String(value)), headers: {} };
    }),
    commitEvery: 1,
    snapshotEvery: 1,
    // Waiting predictions come back from a snapshot as they were.
    crashes: new Set([2]),
  });
  expect(outputs.every(({ topic }) => topic === outcomesTopic(project, 'fraud'))).toBe(true);
  const outcomes = outputs.map(({ value }) => JSON.parse(String(value)) as OutcomeRecord);
  expect(outcomes.map(({ id, role, version, arm, others }) => ({ id, role, version, arm, others }))).toEqual([
    { id: 0, role: 'challenger', version: 2, arm: 'challenger', others: [{ version: 1, score: 0.75 }] },
    { id: 1, role: 'champion', version: 1, arm: 'champion', others: [] },
    { id: 2, role: 'fallback', version: 0, arm: 'champion', others: [{ version: 2, score: 0 }] },
  ]);
});

describe('labels', () => {
  const HOUR = 3_600_000;
  const START = Date.parse('2026-01-01');
  const joinOf = (label: Partial<CompiledModel['label']>): (() => StreamTask) => {
    const rules = { horizonMs: 10 * HOUR, retentionMs: 20 * HOUR, absence: 'missing', censored: [] } as const;
    const model: CompiledModel = { ...fraud.compiled, label: { ...fraud.compiled.label, ...rules, ...label } };
    return () => outcomeTopology({ project, model, generation: 1, partitions: 2 }).createTask('join-0', [hop]);
  };
  const predicted = (id: number, at: number, more: Partial<PredictionHalf> = {}): Half => {
    const { model, version, role, epoch, score, arm, entity } = predictionOf({ id });
    const shared = { id, model, version, role, epoch, score, arm, others: [], entity };
    return { side: 'prediction', ...shared, at: START + at * HOUR, ...more };
  };
  const labelled = (id: number, knownAt: number, label: number): Half => ({
    side: 'label',
    id,
    knownAt: START + knownAt * HOUR,
    label,
  });
  /** Both upstream tasks have come so far. */
  const passed = (hours: number): OutcomeBlock[] =>
    [0, 1].map((upstream) => ({ upstream, progress: START + hours * HOUR, halves: [] }));
  const block = (...halves: Half[]): OutcomeBlock => ({ upstream: 0, progress: null, halves });
  const run = async (
    create: () => StreamTask,
    blocks: readonly OutcomeBlock[],
    how: { snapshotEvery?: number; crashes?: ReadonlySet<number> } = {},
  ): Promise<OutcomeRecord[]> => {
    const records = blocks.map((each, offset): LogRecord => {
      return { ...hop, offset, timestamp, key: null, value: Buffer.from(JSON.stringify(each)), headers: {} };
    });
    const { outputs } = await driveTask({ create, records, commitEvery: 1, snapshotEvery: 1, ...how });
    return outputs.map(({ value }) => JSON.parse(String(value)) as OutcomeRecord);
  };
  const said = (outcomes: readonly OutcomeRecord[]) =>
    outcomes.map(({ id, label, revision, source }) => [id, label, revision, source]);

  test('that change are revisions, until the request is forgotten', async () => {
    const outcomes = await run(joinOf({}), [
      block(predicted(1, 0)),
      block(labelled(1, 5, 0)),
      block(labelled(1, 5, 0)),
      block(labelled(1, 8, 1)),
      // Older than what is known.
      block(labelled(1, 6, 0)),
      ...passed(25),
      block(labelled(1, 26, 0)),
    ]);
    expect(said(outcomes)).toEqual([
      [1, 0, 0, 'natural'],
      [1, 1, 1, 'natural'],
    ]);
  });

  test('that never come mean nothing, or a negative once the horizon has passed for all', async () => {
    const blocks = [block(predicted(1, 0), predicted(2, 0)), block(labelled(2, 9, 1)), passed(11)[0] as OutcomeBlock];
    const negative = joinOf({ absence: 'negative' });
    expect(said(await run(negative, blocks))).toEqual([[2, 1, 0, 'natural']]);
    const all = [...blocks, ...passed(11), block(labelled(1, 15, 1))];
    expect(said(await run(negative, all))).toEqual([
      [2, 1, 0, 'natural'],
      [1, 0, 0, 'absence'],
      [1, 1, 1, 'natural'],
    ]);
    expect(said(await run(joinOf({}), all))).toEqual([
      [2, 1, 0, 'natural'],
      [1, 1, 0, 'natural'],
    ]);
  });

  test('of censored decisions say so', async () => {
    const outcomes = await run(joinOf({}), [block(predicted(1, 0, { censored: true }), labelled(1, 3, 0))]);
    expect(said(outcomes)).toEqual([[1, 0, 0, 'censored']]);
  });

  test('give the same outcomes whatever was in memory, on disk, or lost in a crash', async () => {
    for (let seed = 1; seed <= 60; seed++) {
      const random = seededRandom(seed);
      let hours = 0;
      const blocks = Array.from({ length: 120 }, (): OutcomeBlock => {
        hours += random.below(3) / 2;
        const halves = Array.from({ length: random.below(4) }, () => {
          const id = random.below(30);
          return random.below(2) === 0 ? predicted(id, hours) : labelled(id, hours, random.below(2));
        });
        const upstream = random.below(2);
        return { upstream, progress: random.below(3) === 0 ? null : START + hours * HOUR, halves };
      });
      const create = joinOf({ absence: seed % 2 === 0 ? 'negative' : 'missing' });
      const expected = await run(create, blocks, { snapshotEvery: 1_000 });
      expect(expected.length).toBeGreaterThan(10);
      const crashes = new Set(Array.from({ length: 6 }, () => random.below(120)));
      expect(await run(create, blocks, { snapshotEvery: 1 + random.below(9), crashes })).toEqual(expected);
    }
  });
});
