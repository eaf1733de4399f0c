import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { PerformanceRow, ReportRecord } from '../../../contracts/performanceReport.js';
import { reportsTopic } from '../../../contracts/topics.js';
import { OutcomeCounts } from '../../../models/monitoring/outcomeCounts.js';
import { outcomeReport, predictionReport } from '../../../models/monitoring/performanceReport.js';
import { PredictionCounts } from '../../../models/monitoring/predictionCounts.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../contract/stores/registry/registrySuite.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { predictionOf } from '../../support/predictions.js';

const run = promisify(execFile);
const main = join(process.cwd(), 'dist', 'cli', 'main.js');
const HOUR = 3_600_000;
const MARCH = Date.parse('2024-03-01T00:00:00Z');

let kafka: TestKafka;
let home: string;
/** Hash of the service that the registered version reads. */
let service: string;
beforeAll(async () => {
  kafka = await startTestKafka();
  home = join(kafka.directory, 'home');
  const registry = await openSqliteRegistry({ file: join(home, 'registry.db'), project: 'p' });
  const fence = await registry.openRollout('fraud', 'p/retrain/fraud/1', 'manual');
  const draft = { ...draftOf('fraud', '1'), columns: ['amount', 'night'] };
  ({ service } = draft);
  await registry.registerVersion(draft, fence);
  await registry.closeRollout(fence, 'done');
  await registry.close();
  await kafka.log.ensureTopics([reportsTopic('p', 'fraud'), 'p.archive'].map((topic) => ({ topic, partitions: 2 })));
  const producer = await kafka.log.producer();
  // Two hours of one day, one of them revised, and one of ten days later.
  const reports = [report(1, 1, 0), report(2, 1, 0), report(2, 2, 0), report(1, 1, 1), report(10 * 24, 1, 0)];
  await producer.send(
    reports.map((each) => ({
      topic: reportsTopic('p', 'fraud'),
      key: `fraud/${each.version}`,
      value: JSON.stringify(each),
    })),
  );
  await producer.close();
});
afterAll(() => kafka.stop());

function report(hour: number, version: number, revision: number): ReportRecord {
  const [predictions, outcomes] = [new PredictionCounts(), new OutcomeCounts()];
  for (const score of [0.1, 0.1, 0.9, 0.95]) {
    predictions.addServed(
      predictionOf({ score, decision: score > 0.5 ? 'block' : 'allow', service, vector: [1, score > 0.5 ? null : 1] }),
    );
    outcomes.add(score, score > 0.5 ? 1 : 0, 'natural', 1);
  }
  const from = MARCH + hour * HOUR;
  return {
    model: 'fraud',
    version,
    role: version === 1 ? 'champion' : 'challenger',
    from,
    to: from + HOUR,
    generation: 1,
    revision,
    predictions: predictionReport(predictions, () => null),
    outcomes: revision === 0 ? null : outcomeReport(outcomes),
    counts: { predictions: predictions.encode(), outcomes: revision === 0 ? null : outcomes.encode() },
  };
}

async function tidemill(...args: string[]): Promise<string> {
  const { TIDEMILL_REGISTRY: _registry, ...rest } = process.env;
  const env = {
    ...rest,
    TIDEMILL_PROJECT_ID: 'p',
    TIDEMILL_PROJECT: join(process.cwd(), 'dist', 'examples', 'fraud', 'project.js'),
    TIDEMILL_KAFKA: kafka.broker,
  };
  return (await run(process.execPath, [main, '--home', home, 'models', 'report', ...args], { env })).stdout;
}

test('a day is told with its versions side by side, inputs by the names that their version knows', async () => {
  const text = await tidemill('fraud', '--from', '2024-03-01', '--to', '2024-03-02');
  expect(text).toMatch(/^2024-03-01 +1 champion +2 challenger\nrows +8 +4\nserved +8 +4\n/);
  expect(text).toMatch(/^share block +0\.5 +0\.5$/m);
  expect(text).toMatch(/^nulls night +0\.5 +0\.5$/m);
  expect(text).toMatch(/^labelled +4$/m);
  expect(text).toMatch(/^label rate +0\.5$/m);
  expect(text).not.toContain('2024-03-11');
});

test('without a range it tells of the seven days up to the newest', async () => {
  const rows = JSON.parse(await tidemill('fraud', '--json')) as PerformanceRow[];
  expect(rows.map(({ from, version }) => [from, version])).toEqual([['2024-03-11T00:00:00.000Z', 1]]);
  const earlier = JSON.parse(await tidemill('fraud', '--to', '2024-03-05T12:00:00Z', '--json')) as PerformanceRow[];
  expect(earlier.map(({ from, version, outcomes }) => [from, version, outcomes?.rows])).toEqual([
    ['2024-03-01T00:00:00.000Z', 1, 4],
    ['2024-03-01T00:00:00.000Z', 2, undefined],
  ]);
});

test('of a time without reports it says so, and a time that is none is refused', async () => {
  expect(await tidemill('fraud', '--from', '2030-01-01')).toBe('no reports on fraud in that time\n');
  const failed: unknown = await tidemill('fraud', '--from', 'yesterday').catch((error: unknown) => error);
  expect(failed).toMatchObject({ code: 2 });
});
