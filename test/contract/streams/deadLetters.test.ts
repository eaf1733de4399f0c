import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import { REPLAY_HEADER, type DeadLetterDecision } from '../../../contracts/deadLetters.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { deadLetterTopic, duplicatesTopic, groupId, predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import type { Log, TransactionalProducer } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { applyDecision, planDecision, type Decide } from '../../../streams/deadLetters/decideDeadLetters.js';
import { listDeadLetters, showDeadLetter } from '../../../streams/deadLetters/readDeadLetters.js';
import { initialiseGroup } from '../../../streams/runtime/initialiseGroup.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import type { RuntimeOptions } from '../../../streams/runtime/taskContext.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { payments } from '../../support/payments.js';

const project = 'memory';
const HOUR = 3_600_000;
const topology = scoreTopology({
  project,
  model: fraud.compiled,
  generation: 1,
  partitions: 2,
  scorer: createFallbackScorer(fraud.compiled),
});
const requests = `${project}.transactions`;

describe('dead letters', () => {
  let folder: string;
  let log: Log;
  let now: number;
  let running: RunningTopology | null;
  let fatal: unknown[];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-dlq-'));
    now = Date.parse('2026-01-01T12:00:00Z');
    fatal = [];
    running = null;
    log = createMemoryLog({ clock: () => now });
    await log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: 2 })),
    );
    await initialiseGroup(log, topology, 'start');
  });
  afterEach(async () => {
    await running?.stop();
    await rm(folder, { recursive: true });
  });

  const start = async (more: Partial<RuntimeOptions> = {}): Promise<void> => {
    running = await runTopology(topology, {
      log,
      instance: 'one',
      directory: folder,
      commitIntervalMs: 5,
      onFatal: (error) => fatal.push(error),
      ...more,
    });
  };
  const send = async (...values: string[]): Promise<void> => {
    const producer = await log.producer();
    await producer.send(
      values.map((value) => ({ topic: requests, partition: 1, key: '7', value, headers: { h: 'x' } })),
    );
    await producer.close();
  };
  /** Every record is committed, and so are the rows that they became on their way to the last stage. */
  const settled = async (): Promise<void> => {
    for (const { topic } of topology.sources) {
      for (;;) {
        const ends = await log.offsets(topic);
        const known = await log.committed(
          groupId(topology.identity),
          ends.map(({ partition }) => ({ topic, partition })),
        );
        if (ends.every(({ high }, at) => (known[at]?.offset ?? 0) >= high)) break;
        await sleep(5);
      }
    }
  };
  const predictions = async (): Promise<PredictionRecord[]> =>
    (await readTopic(log, predictionsTopic(project, 'fraud'))).map((record) => jsonOf<PredictionRecord>(record));
  const decide = (more: Partial<Decide> = {}): Decide => ({
    project,
    decision: 'replayed',
    which: { filter: {} },
    by: 'ann',
    reason: 'clocks are right again',
    now,
    ...more,
  });
  const early = (id: number): string =>
    JSON.stringify({ id, at: now + 2 * HOUR, customer: 7, terminal: 9, amount: 1.5 });

  test('are listed by topic and code, and shown as they were', async () => {
    await start();
    await send('{', early(1), '{"a":1}', '{');
    await settled();
    const list = await listDeadLetters(log, project, { limit: 2 });
    expect(list.counts).toEqual([
      { topic: requests, code: 'EVENT_MALFORMED', count: 2 },
      { topic: requests, code: 'EVENT_TIME_IN_FUTURE', count: 1 },
      { topic: requests, code: 'EVENT_FIELD_INVALID', count: 1 },
    ]);
    expect(list.letters).toMatchObject([
      { topic: requests, partition: 1, offset: 0, code: 'EVENT_MALFORMED', attempt: 1, bytes: 1, at: now },
      { offset: 1, code: 'EVENT_TIME_IN_FUTURE' },
    ]);
    expect((await listDeadLetters(log, project, { code: 'EVENT_FIELD_INVALID' })).letters).toHaveLength(1);
    expect((await listDeadLetters(log, project, { topic: 'other' })).letters).toEqual([]);
    expect((await listDeadLetters(log, project, { since: now + 1 })).counts).toEqual([]);
    expect(await showDeadLetter(log, project, list.letters[0]?.id ?? '')).toMatchObject({
      key: '7',
      value: '{',
      valueHex: '7b',
      headers: { h: 'x' },
      decision: null,
    });
    for (const id of ['0-99', '9-0', 'x']) {
      await expect(showDeadLetter(log, project, id)).rejects.toMatchObject({ code: 'DEAD_LETTER_NOT_FOUND' });
    }
  });

  test('that are replayed twice are answered once, flagged, and nothing else changes', async () => {
    await start();
    await send(...payments(40, { seed: 3, from: now - HOUR, everyMs: 60_000 }).map((each) => JSON.stringify(each)));
    await send(early(1_000));
    await settled();
    expect(await predictions()).toHaveLength(40);
    now += 3 * HOUR;
    const planned = await planDecision(log, decide());
    expect(planned).toMatchObject({ applied: false, letters: [{ code: 'EVENT_TIME_IN_FUTURE' }] });
    const done = await applyDecision(log, decide());
    expect(done).toMatchObject({ applied: true, letters: planned.letters, skipped: [] });
    await settled();
    const replayed = (await predictions()).filter(({ replay }) => replay !== undefined);
    expect(replayed).toMatchObject([
      { id: 1_000, replay: { topic: requests, partition: 1, offset: 40, late: false }, source: { offset: 41 } },
    ]);
    const [record] = (await readTopic(log, requests)).filter(({ headers }) => headers[REPLAY_HEADER] !== undefined);
    expect(record).toMatchObject({ partition: 1, key: Buffer.from('7'), headers: { h: 'x' } });

    // Asked for again: by filter there is nothing open, by id it says what was decided.
    expect((await applyDecision(log, decide())).letters).toEqual([]);
    const again = await applyDecision(log, decide({ which: { ids: planned.letters.map(({ id }) => id) } }));
    expect(again.letters).toEqual([]);
    expect(again.skipped[0]?.why).toMatch(/^replayed by ann at /);
    // Even a second replay of the same dead letter in the topic has no effect, long after.
    now += 100 * HOUR;
    const producer = await log.producer();
    await producer.send([
      {
        topic: requests,
        partition: 1,
        key: '7',
        value: record?.value ?? '',
        headers: record?.headers as Record<string, string>,
      },
    ]);
    await running?.stop();
    await start();
    await settled();
    expect((await predictions()).filter(({ replay }) => replay !== undefined)).toHaveLength(1);
    expect(await readTopic(log, duplicatesTopic(project))).toHaveLength(1);

    const audit = await verifyServed(log, project, fraud.compiled, new Map());
    expect(audit).toMatchObject({
      records: 43,
      predictions: 41,
      duplicates: 1,
      deadLetters: 1,
      missing: 0,
      repeated: 0,
    });
    expect(audit.findings).toEqual([]);
  });

  test('that fail again are dead letters again, with one attempt more and the place of the first failure', async () => {
    await start();
    await send('{');
    await settled();
    await applyDecision(log, decide());
    await settled();
    const { letters } = await listDeadLetters(log, project, {});
    expect(letters).toMatchObject([{ offset: 1, attempt: 2, origin: { topic: requests, partition: 1, offset: 0 } }]);
    await applyDecision(log, decide());
    await settled();
    expect((await listDeadLetters(log, project, {})).letters).toMatchObject([
      // A transaction marker lies in between.
      { offset: 3, attempt: 3, origin: { topic: requests, partition: 1, offset: 0 } },
    ]);
    expect(await verifyServed(log, project, fraud.compiled, new Map())).toMatchObject({ deadLetters: 3, repeated: 0 });
  });

  test('that are discarded are open no more, and are kept', async () => {
    await start();
    await send('{', early(1));
    await settled();
    await applyDecision(log, decide({ decision: 'discarded', which: { filter: { code: 'EVENT_MALFORMED' } } }));
    const { letters } = await listDeadLetters(log, project, {});
    expect(letters).toMatchObject([{ code: 'EVENT_TIME_IN_FUTURE' }]);
    expect(await readTopic(log, deadLetterTopic(project))).toHaveLength(2);
    const decision: Partial<DeadLetterDecision> = { decision: 'discarded', by: 'ann', at: now };
    expect(await showDeadLetter(log, project, '1-0')).toMatchObject({ decision });
    // What was discarded is not replayed by a later filter, nor by its id.
    expect((await applyDecision(log, decide({ which: { ids: ['1-0'] } }))).letters).toEqual([]);
    expect(await predictions()).toEqual([]);
  });

  test('are replayed once by two who do it at the same time, and by one who dies in the midst and tries again', async () => {
    await start();
    await send(...Array.from({ length: 20 }, (_, id) => early(id)));
    await settled();
    now += 3 * HOUR;
    const dying: Log = Object.create(log, {
      transactionalProducer: {
        value: async (id: string): Promise<TransactionalProducer> => ({
          ...(await log.transactionalProducer(id)),
          commit: () => Promise.reject(new Error('dead')),
        }),
      },
    }) as Log;
    await expect(applyDecision(dying, decide())).rejects.toThrow('dead');
    expect((await listDeadLetters(log, project, {})).letters).toHaveLength(20);
    const both = await Promise.allSettled([applyDecision(log, decide()), applyDecision(log, decide())]);
    expect(both.some(({ status }) => status === 'fulfilled')).toBe(true);
    for (const each of both)
      if (each.status === 'rejected') expect(each.reason).toMatchObject({ code: 'PRODUCER_FENCED' });
    await settled();
    expect((await predictions()).map(({ id }) => id).sort((a, b) => Number(a) - Number(b))).toEqual(
      Array.from({ length: 20 }, (_, id) => id),
    );
    expect(await readTopic(log, requests)).toHaveLength(40);
  });

  test('go nowhere where nobody would read them', async () => {
    await start();
    await send('{');
    await settled();
    const change = await applyDecision(log, decide({ refusal: async () => 'nobody reads it' }));
    expect(change).toMatchObject({ letters: [], skipped: [{ why: 'nobody reads it' }] });
    expect((await listDeadLetters(log, project, {})).letters).toHaveLength(1);
  });

  test('that cannot be replayed do not stand in the way of younger ones where a limit is asked for', async () => {
    await start();
    await send('{');
    await settled();
    now += HOUR;
    const labelled = `${project}.fraud-labels`;
    const producer = await log.producer();
    await producer.send([{ topic: labelled, partition: 1, key: '7', value: '{' }]);
    await producer.close();
    await settled();
    const refusal = async (topic: string): Promise<string | null> => (topic === requests ? 'nobody reads it' : null);
    const change = await planDecision(log, decide({ which: { filter: { limit: 1 } }, refusal }));
    expect(change).toMatchObject({ letters: [{ topic: labelled }], skipped: [{ why: 'nobody reads it' }] });
    const discarded = decide({ decision: 'discarded', which: { filter: { limit: 1 } } });
    expect((await planDecision(log, discarded)).letters).toMatchObject([{ topic: requests }]);
  });

  test('stop a task where they are too many, and what it had not committed comes again', async () => {
    await start({ poisonLimit: { share: 0.2, window: 50, least: 10 } });
    await send(...payments(40, { seed: 3, from: now - HOUR, everyMs: 60_000 }).map((each) => JSON.stringify(each)));
    await settled();
    await send(...Array.from({ length: 30 }, () => '{'));
    while (fatal.length === 0) await sleep(5);
    expect(fatal).toMatchObject([
      { code: 'POISON_LIMIT_EXCEEDED', details: { task: 'customer-1', code: 'EVENT_MALFORMED', share: 0.2 } },
    ]);
    expect((fatal[0] as Error).message).toContain('EVENT_MALFORMED');
    await running?.stop();
    fatal = [];
    // Whoever allows it goes on; each is set aside once.
    await start({ poisonLimit: { share: 1 } });
    await settled();
    expect(fatal).toEqual([]);
    expect((await listDeadLetters(log, project, {})).counts).toMatchObject([{ count: 30 }]);
    expect(await verifyServed(log, project, fraud.compiled, new Map())).toMatchObject({
      records: 70,
      predictions: 40,
      deadLetters: 30,
      missing: 0,
      repeated: 0,
    });
  });
});
