import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Configuration } from '../../../contracts/configuration.js';
import type { Readiness, StreamWorkerStatus } from '../../../contracts/monitoring.js';
import { METRICS } from '../../../workers/monitoring/metricNames.js';
import { freePort } from '../../../infra/ports.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { parseMetrics, sumOf, type Sample } from '../../support/metricsText.js';
import { paymentRecord, payments } from '../../support/payments.js';
import { fraudConfiguration, StreamWorker } from '../../support/streamWorker.js';

describe('the port of a stream worker', () => {
  let kafka: TestKafka;
  let configuration: Configuration;
  beforeAll(async () => {
    kafka = await startTestKafka();
    const home = join(kafka.directory, 'home');
    configuration = fraudConfiguration('watched', kafka.broker, home);
    await kafka.log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `watched.${name}`, partitions: 2 })),
    );
    const initialising = new StreamWorker(configuration, ['--model', 'fraud', '--initialise', 'start']);
    expect(await initialising.end()).toMatchObject({ code: 0 });
  });
  /** What a failed test has left running. */
  const workers: StreamWorker[] = [];
  const start = (settings: Configuration, args: readonly string[]): StreamWorker => {
    const worker = new StreamWorker(settings, args);
    workers.push(worker);
    return worker;
  };
  afterAll(async () => {
    for (const worker of workers) await worker.kill();
    await kafka.stop();
  });

  const addressOf = async (worker: StreamWorker): Promise<string> => {
    for (;;) {
      const said = worker.lines.find(({ msg }) => msg === 'metrics and health');
      if (said !== undefined) return `http://${String(said['address'])}`;
      expect(worker.isRunning).toBe(true);
      await sleep(20);
    }
  };
  const scrape = async (address: string): Promise<Sample[]> => {
    const response = await fetch(`${address}/metrics`);
    expect(response.headers.get('content-type')).toContain('text/plain');
    return parseMetrics(await response.text());
  };

  test('says that a worker is starting while no broker answers', async () => {
    const nowhere = { ...configuration, kafkaBrokers: [`127.0.0.1:${await freePort()}`] };
    const worker = start(nowhere, ['--model', 'fraud', '--instance', 'early']);
    const address = await addressOf(worker);
    expect((await fetch(`${address}/health/live`)).status).toBe(200);
    const ready = await fetch(`${address}/health/ready`);
    expect([ready.status, await ready.json()]).toMatchObject([
      503,
      { ready: false, reasons: [{ reason: 'starting' }] },
    ]);
    expect(await worker.end()).toMatchObject({ code: 5 });
  });

  test('tells what became of every record, how far the tasks are, and when the worker is ready', async () => {
    const worker = start(configuration, ['--model', 'fraud', '--instance', 'w', '--metrics-port', '0']);
    const address = await addressOf(worker);
    let readiness: Readiness;
    do {
      const response = await fetch(`${address}/health/ready`);
      readiness = (await response.json()) as Readiness;
      expect(response.status).toBe(readiness.ready ? 200 : 503);
      if (!readiness.ready) expect(readiness.reasons.length).toBeGreaterThan(0);
      await sleep(20);
    } while (!readiness.ready);

    const sent = payments(300, { seed: 4, everyMs: 60_000 }).map((each) => paymentRecord('watched', each));
    const [first] = sent;
    const late = paymentRecord('watched', { ...payments(1, { seed: 9 })[0]!, id: 9_000, at: 1_000 });
    const producer = await kafka.log.producer();
    await producer.send([...sent, ...sent.slice(-5), late, { ...first!, value: '{' }, { ...first!, value: '{}' }]);
    await producer.close();
    const total = 300 + 5 + 3;
    const job = { job: 'score.fraud', generation: '1' };
    const outcomes = ['prediction', 'duplicate', 'late', 'dead_letter'];
    let samples: Sample[];
    const ended = (): number =>
      outcomes.reduce((sum, outcome) => sum + sumOf(samples, 'tidemill_stream_records_total', { ...job, outcome }), 0);
    do {
      samples = await scrape(address);
      await sleep(20);
    } while (ended() < total);

    const counts = outcomes.map((outcome) => sumOf(samples, 'tidemill_stream_records_total', { ...job, outcome }));
    expect(counts).toEqual([300, 5, 1, 2]);
    expect(sumOf(samples, 'tidemill_dlq_records_total', { reason: 'EVENT_MALFORMED' })).toBe(1);
    expect(sumOf(samples, 'tidemill_dlq_records_total')).toBe(2);
    expect(sumOf(samples, 'tidemill_predict_requests_total', { model: 'fraud', version: '0', role: 'fallback' })).toBe(
      300,
    );
    expect(sumOf(samples, 'tidemill_predict_duration_seconds_count', { model: 'fraud' })).toBeGreaterThan(0);
    expect(sumOf(samples, 'tidemill_stream_commit_duration_seconds_count', job)).toBeGreaterThan(0);
    expect(sumOf(samples, 'tidemill_stream_folded_records_total', job)).toBeGreaterThanOrEqual(total);
    expect(sumOf(samples, 'tidemill_lease_remaining_seconds')).toBeGreaterThan(0);
    expect(sumOf(samples, 'tidemill_worker_ready')).toBe(1);
    // Two partitions of transactions, hop and labels; four tasks, of which the entry tasks have a watermark of 2018.
    const named = (name: string): Sample[] => samples.filter((each) => each.name === name);
    for (const name of ['tidemill_stream_lag_records', 'tidemill_stream_queue_bytes', 'tidemill_stream_paused'])
      expect(named(name)).toHaveLength(6);
    expect(named('tidemill_stream_restore_progress_ratio').map(({ value }) => value)).toEqual([1, 1, 1, 1]);
    expect(sumOf(samples, 'tidemill_stream_task_state', { state: 'live' })).toBe(4);
    for (const { value } of named('tidemill_stream_watermark_lag_seconds')) expect(value).toBeGreaterThan(86_400);
    const known = new Set<string>(
      Object.keys(METRICS).flatMap((name) => ['', '_bucket', '_sum', '_count'].map((end) => name + end)),
    );
    for (const { name } of samples) if (name.startsWith('tidemill_')) expect(known).toContain(name);

    const status = (await (await fetch(`${address}/status`)).json()) as StreamWorkerStatus;
    expect(status).toMatchObject({ instance: 'w', topologies: [{ group: 'watched.score.fraud.g1' }] });
    expect((await fetch(`${address}/other`)).status).toBe(404);
    expect((await fetch(`${address}/status`, { method: 'POST' })).status).toBe(405);
    expect(await worker.stop()).toMatchObject({ code: 0 });
    await expect(fetch(`${address}/health/live`)).rejects.toThrow();
  });

  test('that is taken is named; off opens none', async () => {
    const taken = Number(new URL(`http://${kafka.broker}`).port);
    const refused = start(configuration, ['--model', 'fraud', '--metrics-port', String(taken)]);
    expect(await refused.end()).toMatchObject({ code: 2 });
    expect(refused.lines).toMatchObject([{ code: 'CONFIGURATION_INVALID', details: { port: taken } }]);
    const silent = start(configuration, ['--model', 'fraud', '--instance', 'w', '--metrics-port', 'off']);
    while (!silent.lines.some(({ msg }) => msg === 'running')) await sleep(50);
    expect(silent.lines.some(({ msg }) => msg === 'metrics and health')).toBe(false);
    expect(await silent.stop()).toMatchObject({ code: 0 });
  });
});
