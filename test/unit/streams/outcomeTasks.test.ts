import { expect, test } from 'vitest';
import type { OtherScore, OutcomeRecord } from '../../../contracts/records.js';
import { hopTopic, outcomesTopic, predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { LogRecord } from '../../../stores/log/log.js';
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
    predictionOf({ id: 0, role: 'challenger', version: 2, arm: 'challenger', others: [other({ score: 0.75 })] }),
    predictionOf({
      id: 1,
      others: [other({ version: 2, role: 'challenger', score: null, decision: null, problem: 'broken' })],
    }),
    predictionOf({
      id: 2,
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
