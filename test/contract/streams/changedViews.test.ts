import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import { isTidemillError } from '../../../contracts/errors.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { hopTopic, predictionsTopic } from '../../../contracts/topics.js';
import {
  customer,
  customerSpending,
  fraud,
  moment,
  terminal,
  terminalRisk,
  transactions,
} from '../../../examples/fraud/project.js';
import { featureService, type ServiceInput } from '../../../features/authoring/featureService.js';
import { count, featureView, type FeatureView } from '../../../index.js';
import type { CompiledModel } from '../../../models/definition.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { initialiseGroup } from '../../../streams/runtime/initialiseGroup.js';
import { runTopology } from '../../../streams/runtime/runTopology.js';
import type { TaskEvent } from '../../../streams/runtime/taskContext.js';
import { planScore } from '../../../streams/topologies/score/scorePlan.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { labelRecord, paymentRecord, payments } from '../../support/payments.js';

const project = 'changed';
const PARTITIONS = 2;
const DAY = 86_400_000;
const identity = { project, name: 'score.fraud', generation: 1 };

/** The fraud model on other inputs. */
function modelOf(...inputs: readonly ServiceInput[]): CompiledModel {
  return { ...fraud.compiled, service: featureService('inputs', { on: transactions, inputs }).compiled };
}

/** Another view of the customer, on the requests themselves. */
const recent: FeatureView = featureView('recent', {
  entity: customer,
  from: transactions,
  key: 'customer',
  include: 'past',
  features: () => ({ payments: count().over('3d') }),
});

/** A view over the requests that is keyed otherwise than their topic: they are fed to it over a hop. */
const visits: FeatureView = featureView('visits', {
  entity: terminal,
  from: transactions,
  key: 'terminal',
  include: 'past',
  features: () => ({ visits: count().over('5d') }),
});

describe('a score topology whose views change', () => {
  let directory: string;
  let log: Log;
  let id: number;
  let at: number;
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'tidemill-changed-'));
    log = createMemoryLog({ clock: () => Date.parse('2026-01-01') });
    [id, at] = [0, Date.parse('2018-04-01T00:00:00Z')];
    await log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: PARTITIONS })),
    );
  });
  afterEach(() => rm(directory, { recursive: true }));

  async function send(number: number): Promise<void> {
    const producer = await log.producer();
    const made = payments(number, { seed: id + 1, firstId: id, from: at, everyMs: 600_000 });
    [id, at] = [id + number, at + number * 600_000];
    await producer.send(
      made.flatMap((each) => [
        paymentRecord(project, each),
        // Known at once, so that the labels of the windows are there.
        labelRecord(project, { ...each, at: each.at - 7 * DAY }),
      ]),
    );
    await producer.close();
  }
  const predictions = async (): Promise<PredictionRecord[]> =>
    (await readTopic(log, predictionsTopic(project, 'fraud'))).map((record) => jsonOf<PredictionRecord>(record));

  /** Runs a plan until all requests are answered, and stops it. */
  async function run(model: CompiledModel, others: readonly CompiledModel[] = []): Promise<TaskEvent[]> {
    const events: TaskEvent[] = [];
    const plan = planScore(model, { services: others.map(({ service }) => service) });
    const scorer = createFallbackScorer(model);
    const topology = scoreTopology({ project, model, plan, generation: 1, partitions: PARTITIONS, scorer });
    if (id === 0) await initialiseGroup(log, topology, 'start');
    let fatal: unknown = null;
    const running = await runTopology(topology, {
      log,
      instance: 'one',
      directory,
      commitIntervalMs: 5,
      onEvent: (event) => events.push(event),
      onFatal: (error) => {
        fatal = error;
      },
    });
    await send(300);
    while (fatal === null && (await predictions()).length < id) await sleep(10);
    await running.stop();
    if (fatal !== null) throw fatal as Error;
    return events;
  }
  const built = (events: readonly TaskEvent[]): string[] => [
    ...new Set(events.flatMap((event) => (event.kind === 'building' ? event.parts : []))),
  ];
  async function audit(model: CompiledModel, ...others: readonly CompiledModel[]): Promise<void> {
    const services = others.map(({ service }) => service);
    const found = await verifyServed(log, project, model, new Map(), undefined, services);
    expect(found.findings).toEqual([]);
    expect(found).toMatchObject({ predictions: id, missing: 0, repeated: 0, maxDifference: 0 });
  }

  test('builds the view that is added, from the start of the log, and keeps the state of the others', async () => {
    const [before, after] = [modelOf(moment, customerSpending), modelOf(recent, customerSpending)];
    await run(before);
    const events = await run(after, [before]);
    expect(built(events)).toEqual(['recent']);
    expect(events.filter(({ kind }) => kind === 'snapshotDiscarded')).toEqual([]);
    await audit(after, before);
    // The second time all of it is in the snapshot.
    const again = await run(after, [before]);
    expect(built(again)).toEqual([]);
    expect(again.every((event) => event.kind !== 'recovered' || (event.fromSnapshot && event.replayed === 0))).toBe(
      true,
    );
    await audit(after, before);
  });

  test('comes to a stage and a stream that nothing read before', async () => {
    const [before, after] = [modelOf(moment, customerSpending), modelOf(moment, customerSpending, terminalRisk)];
    await run(before);
    await run(after, [before]);
    await audit(after, before);
    const found = await predictions();
    expect(new Set(found.slice(-100).map(({ vector }) => vector.length))).toEqual(
      new Set([after.service.columns.length]),
    );
    // What was in the log by then counts in the new view: some labels are older than the first of its requests.
    const known = after.service.columns.findIndex(({ name }) => name === 'labelled_30d');
    expect(found.some(({ vector }) => (vector[known] ?? 0) > 0)).toBe(true);
  });

  test('forgets a view that nothing reads, and builds it anew where it comes back', async () => {
    const [both, one] = [modelOf(recent, customerSpending), modelOf(customerSpending)];
    await run(both);
    expect(built(await run(one))).toEqual([]);
    expect(built(await run(both, [one]))).toEqual(['recent']);
    await audit(both, one);
  });

  test.each([
    ['and its stage with it', modelOf(moment, customerSpending)],
    ['and its stage stays', modelOf(moment, customerSpending, terminalRisk)],
  ])('says in each cut what a view was not fed while nothing read it, %s', async (_, without) => {
    const withIt = modelOf(moment, customerSpending, visits);
    await run(withIt);
    await run(without, [without]);
    await run(withIt, [without]);
    await run(withIt, [without]);
    await audit(withIt, without);
  });

  test('answers the rows that an earlier plan has sent to a hop that is no more', async () => {
    const [before, after] = [modelOf(moment, customerSpending, terminalRisk), modelOf(moment, customerSpending)];
    await run(before);
    const terminal = transactions.compiled.fields.findIndex(({ name }) => name === 'terminal');
    const scorer = createFallbackScorer(before);
    const plan = planScore(before);
    const whole = scoreTopology({ project, model: before, plan, generation: 1, partitions: PARTITIONS, scorer });
    // A worker dies between its two stages: rows are on the hop, and nobody reads it.
    const entryOnly = {
      ...whole,
      sources: whole.sources.filter(({ topic }) => topic === `${project}.transactions`),
    };
    const fatal: unknown[] = [];
    const options = {
      log,
      instance: 'one',
      directory,
      commitIntervalMs: 5,
      onFatal: (error: unknown) => fatal.push(error),
    };
    const dying = await runTopology(entryOnly, options);
    await send(100);
    const hop = hopTopic(identity, 'terminal');
    const rowsOnHop = async (): Promise<boolean> => {
      const ranges = await log.offsets(`${project}.transactions`);
      const places = ranges.map(({ partition }) => ({ topic: `${project}.transactions`, partition }));
      const committed = await log.committed(`${project}.score.fraud.g1`, places);
      return committed.every(({ offset }, place) => offset === ranges[place]?.high);
    };
    while (!(await rowsOnHop())) await sleep(10);
    await dying.stop();
    expect((await predictions()).length).toBe(300);

    const passing = planScore(after, { passing: [terminal] });
    const next = scoreTopology({ project, model: after, plan: passing, generation: 1, partitions: PARTITIONS, scorer });
    expect(next.sources.map(({ topic }) => topic)).toContain(hop);
    const running = await runTopology(next, options);
    while (fatal.length === 0 && (await predictions()).length < id) await sleep(10);
    await running.stop();
    expect(fatal).toEqual([]);
    await audit(after, before);
  });

  test('does not build a view from a log that has lost its beginning', async () => {
    const [before, after] = [modelOf(moment, customerSpending), modelOf(recent, customerSpending)];
    await run(before);
    const whole = log;
    const offsets: Log['offsets'] = async (topic) =>
      (await whole.offsets(topic)).map((range) => (topic.endsWith('.transactions') ? { ...range, low: 20 } : range));
    log = new Proxy(whole, {
      get: (target, name) => {
        const method: unknown = name === 'offsets' ? offsets : Reflect.get(target, name);
        return typeof method === 'function' ? (method.bind(target) as unknown) : method;
      },
    });
    const error: unknown = await run(after, [before]).catch((reason: unknown) => reason);
    expect(isTidemillError(error, 'OFFSET_LOST') ? error.message : error).toMatch(
      /recent cannot be built: offsets 0 to 19/,
    );
  });
});
