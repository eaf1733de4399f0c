import { describe, expect, test } from 'vitest';
import { expectedOutcomes } from '../../../activities/audit/expectedOutcomes.js';
import { REPLAY_HEADER, replayMarkOf, type ReplayMark } from '../../../contracts/deadLetters.js';
import type { DeploymentRecord, PredictionRecord, ReplayedRequest } from '../../../contracts/records.js';
import { hopTopic, predictionsTopic } from '../../../contracts/topics.js';
import { fraud, transactions } from '../../../examples/fraud/project.js';
import { logisticToOnnx } from '../../../models/onnx/linearModel.js';
import { createScoringEngine } from '../../../scoring/engine.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import { armOf } from '../../../scoring/split.js';
import type { LogRecord, OutgoingRecord } from '../../../stores/log/log.js';
import { decodeBlock } from '../../../streams/blocks/block.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { payments, randomNumbers } from '../../support/payments.js';
import { driveTask } from '../../support/taskDriver.js';

const project = 'p';
const identity = { project, name: 'score.fraud', generation: 1 };
const topology = scoreTopology({
  project,
  model: fraud.compiled,
  generation: 1,
  partitions: 1,
  scorer: createFallbackScorer(fraud.compiled),
});
const entry = { topic: `${project}.transactions`, partition: 0 };

/** Payments of a few customers out of order, repeated, long out of date and broken. */
function requests(seed: number, count: number): LogRecord[] {
  const random = randomNumbers(seed);
  const texts = payments(count, { seed, everyMs: 30_000 }).flatMap((payment) => {
    const text = JSON.stringify({ ...payment, customer: payment.customer % 5 });
    const what = random();
    if (what < 0.1) return [text, text];
    if (what < 0.2)
      return [text, JSON.stringify({ ...payment, id: payment.id + 100_000, at: payment.at - 120_000, customer: 1 })];
    if (what < 0.25)
      return [text, JSON.stringify({ ...payment, id: payment.id + 200_000, at: payment.at - 7_200_000, customer: 2 })];
    return what < 0.28 ? [text, text.slice(5)] : [text];
  });
  return texts.map((text, offset) => ({
    ...entry,
    offset,
    timestamp: Date.parse('2026-01-01'),
    key: null,
    value: Buffer.from(text),
    headers: {},
  }));
}

/** The same with replays of dead letters in between: each comes twice, some of them long after their time. */
function withReplays(seed: number, records: readonly LogRecord[]): LogRecord[] {
  const random = randomNumbers(seed + 7);
  const mixed = [...records];
  for (let origin = 0; origin < 12; origin++) {
    const at = Date.parse('2018-04-01') + Math.floor(random() * records.length) * 30_000;
    const value = Buffer.from(JSON.stringify({ ...payments(1, { seed })[0], id: 900_000 + origin, at, customer: 3 }));
    const mark: ReplayMark = { topic: entry.topic, partition: 0, offset: origin, attempt: 1 };
    const headers = { [REPLAY_HEADER]: JSON.stringify(mark) };
    for (const place of [random(), random()].map((share) => Math.floor(share * mixed.length)))
      mixed.splice(place, 0, { ...(records[0] as LogRecord), value, headers });
  }
  return mixed.map((record, offset) => ({ ...record, offset }));
}

/** What became of each request, by its offset. */
function answers(outputs: readonly OutgoingRecord[]): Map<number, string> {
  const found = new Map<number, string>();
  const note = (offset: number, what: string): void => {
    found.set(offset, found.has(offset) ? `${found.get(offset)} and ${what}` : what);
  };
  for (const { topic, value } of outputs) {
    if (topic === hopTopic(identity, 'terminal')) {
      const block = decodeBlock(transactions.compiled, value as Buffer);
      for (const { offset, vector } of block.rows) note(offset, `row ${Array.from(vector.subarray(0, 9)).join(' ')}`);
    } else note((JSON.parse(String(value)) as { source: { offset: number } }).source.offset, topic);
  }
  return found;
}

/** Rows that say that they are replays, by their offset. */
function replayedRows(outputs: readonly OutgoingRecord[]): Map<number, ReplayedRequest> {
  const found = new Map<number, ReplayedRequest>();
  for (const { topic, value } of outputs) {
    if (topic !== hopTopic(identity, 'terminal')) continue;
    const { rows } = decodeBlock(transactions.compiled, value as Buffer);
    for (const { offset, replay } of rows) if (replay !== null) found.set(offset, replay);
  }
  return found;
}

describe('an entry task', () => {
  const create = () => topology.createTask('customer-0', [entry]);

  test('ends every record as the rules say: goes on, duplicate, late or dead letter', async () => {
    const records = requests(1, 400);
    const { outputs, deadLetters } = await driveTask({ create, records, commitEvery: 7, snapshotEvery: 3 });
    const found = answers(outputs);
    for (const { record, outcome } of expectedOutcomes(transactions.compiled, records)) {
      const what = found.get(record.offset) ?? 'nothing';
      if (outcome === 'prediction') expect(what).toMatch(/^row /);
      else if (outcome === 'deadLetter') expect([what, deadLetters.includes(record.offset)]).toEqual(['nothing', true]);
      else expect(what).toBe(outcome === 'late' ? 'p.late' : 'p.duplicates');
    }
    expect(new Set(expectedOutcomes(transactions.compiled, records).map(({ outcome }) => outcome)).size).toBe(4);
  });

  test('answers a replay of a dead letter once, late or not, and says that it is one', async () => {
    let [late, inTime] = [0, 0];
    for (let seed = 1; seed <= 4; seed++) {
      const records = withReplays(seed, requests(seed, 300));
      const { outputs } = await driveTask({ create, records, commitEvery: 7, snapshotEvery: 3 });
      const found = answers(outputs);
      const replays = replayedRows(outputs);
      for (const { record, outcome, isLateReplay } of expectedOutcomes(transactions.compiled, records)) {
        const mark = replayMarkOf(record.headers[REPLAY_HEADER]);
        if (mark === null) continue;
        expect(found.get(record.offset)).toMatch(outcome === 'prediction' ? /^row / : /^p\.duplicates$/);
        if (outcome !== 'prediction') continue;
        expect(replays.get(record.offset)).toEqual({ ...entry, offset: mark.offset, late: isLateReplay === true });
        if (isLateReplay === true) late++;
        else inTime++;
      }
      expect(replays.size).toBe(12);
    }
    expect(late).toBeGreaterThan(5);
    expect(inTime).toBeGreaterThan(5);
  });

  test('answers the same after crashes anywhere, from snapshots of any age', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const records = withReplays(seed, requests(seed, 200));
      const random = randomNumbers(seed * 31);
      const straight = await driveTask({ create, records, commitEvery: 9, snapshotEvery: 1_000 });
      const crashes = new Set(Array.from({ length: 6 }, () => 1 + Math.floor(random() * (records.length - 2))));
      const crashed = await driveTask({
        create,
        records,
        commitEvery: 9,
        snapshotEvery: 1 + Math.floor(random() * 4),
        crashes,
      });
      expect(answers(crashed.outputs)).toEqual(answers(straight.outputs));
      expect(crashed.deadLetters).toEqual(straight.deadLetters);
    }
  });
});

describe('a last task', () => {
  const columns = fraud.compiled.service.columns.length;
  /** Version n answers the logistic function of n, version 3 nonsense. */
  const versionFile = (version: number): Uint8Array =>
    logisticToOnnx({
      means: new Float64Array(columns),
      scales: new Float64Array(columns).fill(1),
      weights: new Float64Array(columns),
      intercept: version === 3 ? Number.NaN : version,
    });

  /** What the requests of a few customers become under a deployment. */
  async function predictionsUnder(deployment: DeploymentRecord): Promise<PredictionRecord[]> {
    const scorer = createScoringEngine(fraud.compiled, (version) => Promise.resolve(versionFile(version)));
    await scorer.prepare(deployment);
    scorer.activate(deployment);
    const scoring = scoreTopology({ project, model: fraud.compiled, generation: 1, partitions: 1, scorer });
    const entered = await driveTask({
      create: () => scoring.createTask('customer-0', [entry]),
      records: requests(5, 200),
      commitEvery: 20,
      snapshotEvery: 1_000,
    });
    const hop = { topic: hopTopic(identity, 'terminal'), partition: 0 };
    const blocks = entered.outputs.filter(({ topic }) => topic === hop.topic);
    const { outputs } = await driveTask({
      create: () => scoring.createTask('terminal-0', [hop]),
      records: blocks.map(({ value }, offset): LogRecord => {
        const timestamp = Date.parse('2026-01-01');
        return { ...hop, offset, timestamp, key: null, value: value as Buffer, headers: {} };
      }),
      commitEvery: 3,
      snapshotEvery: 1_000,
    });
    await scorer.close();
    return outputs
      .filter(({ topic }) => topic === predictionsTopic(project, 'fraud'))
      .map(({ value }) => JSON.parse(String(value)) as PredictionRecord);
  }
  const deployment: DeploymentRecord = {
    model: 'fraud',
    epoch: 4,
    mode: 'canary',
    champion: 1,
    challenger: 2,
    share: 0.4,
    salt: 'fraud/4',
    prepare: null,
  };

  test('splits requests by customer, and writes both versions’ scores of each', async () => {
    const predictions = await predictionsUnder(deployment);
    for (const { entity, arm, role, version, epoch, others, micros } of predictions) {
      expect(arm).toBe(armOf(deployment, String(entity)));
      expect([role, version, epoch]).toEqual(arm === 'challenger' ? ['challenger', 2, 4] : ['champion', 1, 4]);
      expect(others).toMatchObject([{ version: 3 - version, problem: null }]);
      expect(micros).toBeGreaterThan(0);
    }
    expect(new Set(predictions.map(({ arm }) => arm)).size).toBe(2);
  });

  test('writes the problem of a challenger that fails, and the champion serves', async () => {
    const predictions = await predictionsUnder({ ...deployment, challenger: 3 });
    expect(predictions.length).toBeGreaterThan(100);
    for (const { entity, arm, role, version, others } of predictions) {
      expect([arm, role, version]).toEqual([armOf(deployment, String(entity)), 'champion', 1]);
      expect(others).toMatchObject([
        { version: 3, role: 'challenger', score: null, problem: 'version 3 answered NaN' },
      ]);
    }
  });
});
