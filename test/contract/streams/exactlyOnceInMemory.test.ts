import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import { REPLAY_HEADER, type ReplayMark } from '../../../contracts/deadLetters.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { groupId, hopTopic, predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import type { OutgoingRecord } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { initialiseGroup } from '../../../streams/runtime/initialiseGroup.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { hasCaughtUp } from '../../support/caughtUp.js';
import { FailingSteps, STEPS } from '../../support/failingSteps.js';
import { labelRecord, paymentRecord, payments, randomNumbers } from '../../support/payments.js';

const project = 'memory';
const PARTITIONS = 3;
const READ = [
  `${project}.transactions`,
  hopTopic({ project, name: 'score.fraud', generation: 1 }, 'terminal'),
  `${project}.fraud-labels`,
];

describe('the score topology on the log in memory', () => {
  let folder: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-memory-'));
  });
  afterAll(() => rm(folder, { recursive: true }));

  test.each([
    [1, 'exactly-once'],
    [2, 'exactly-once'],
    [3, 'exactly-once'],
    [4, 'at-least-once'],
    [5, 'at-least-once'],
  ] as const)(
    'answers every record through failures at every step and rebalances (seed %i, %s)',
    async (seed, processing) => {
      const random = randomNumbers(seed * 101);
      const log = createMemoryLog({ clock: () => Date.parse('2026-01-01') });
      await log.ensureTopics(
        ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: PARTITIONS })),
      );
      const topology = scoreTopology({
        project,
        model: fraud.compiled,
        generation: 1,
        partitions: PARTITIONS,
        scorer: createFallbackScorer(fraud.compiled),
      });
      const producer = await log.producer();
      const history = payments(800, { seed, everyMs: 600_000 });
      await producer.send([
        ...history.map((each) => paymentRecord(project, each)),
        ...history.map((each) => labelRecord(project, each)),
      ]);
      await initialiseGroup(log, topology, 'end');
      const liveFrom = new Map(
        (await log.offsets(`${project}.transactions`)).map(({ partition, high }) => [partition, high]),
      );

      const steps = new FailingSteps(random);
      const fatal: unknown[] = [];
      const start = (instance: string): Promise<RunningTopology> =>
        runTopology(topology, {
          log,
          instance,
          directory: join(folder, `${seed}`, instance),
          processing,
          commitIntervalMs: 5,
          snapshotIntervalMs: 20,
          reach: steps.reach,
          onFatal: (error) => fatal.push(error),
        });
      const running = [await start('one')];
      const live: OutgoingRecord[] = payments(2_000, {
        seed: seed + 50,
        firstId: 10_000,
        from: history.at(-1)?.at ?? 0,
        everyMs: 20_000,
      }).flatMap((payment) => {
        const record = paymentRecord(project, payment);
        const label = labelRecord(project, { ...payment, at: payment.at - 7 * 86_400_000 });
        const what = random();
        if (what < 0.03) return [record, record];
        if (what < 0.05) return [record, { ...record, value: '{' }];
        if (what < 0.08)
          return [record, paymentRecord(project, { ...payment, id: payment.id + 50_000, at: payment.at - 86_400_000 })];
        if (what < 0.16) {
          // Replays of few dead letters, so that most come again; some are of long ago.
          const mark: ReplayMark = { topic: record.topic, partition: 0, offset: payment.customer, attempt: 1 };
          const at = payment.at - (random() < 0.5 ? 0 : 86_400_000);
          const replayed = paymentRecord(project, { ...payment, id: payment.id + 70_000, at });
          return [record, { ...replayed, headers: { [REPLAY_HEADER]: JSON.stringify(mark) } }];
        }
        return [record, label];
      });
      for (let at = 0; at < live.length; at += 200) {
        await producer.send(live.slice(at, at + 200));
        await sleep(10);
        if (at === 1_000) running.push(await start('two'));
        if (at === 2_400) await running.shift()?.stop();
      }
      while (fatal.length === 0 && !(await hasCaughtUp(log, groupId(topology.identity), READ))) await sleep(20);
      expect(fatal).toEqual([]);
      for (const each of running) await each.stop();

      const audit = await verifyServed(log, project, fraud.compiled, liveFrom);
      if (processing === 'exactly-once') expect(audit.findings).toEqual([]);
      const requests = live.filter(({ topic }) => topic.endsWith('.transactions')).length;
      expect(audit).toMatchObject({
        records: requests,
        missing: 0,
        // Repeats are all that at-least-once may do.
        repeated: processing === 'exactly-once' ? 0 : (expect.any(Number) as number),
        maxDifference: 0,
      });
      const late = (await readTopic(log, predictionsTopic(project, 'fraud'))).filter(
        (record) => jsonOf<PredictionRecord>(record).replay?.late === true,
      );
      expect(late.length).toBeGreaterThan(10);
      expect(audit.vectorsCompared).toBe(audit.predictions - late.length);
      expect(new Set(steps.failures).size).toBe(STEPS.length);
    },
  );
});
