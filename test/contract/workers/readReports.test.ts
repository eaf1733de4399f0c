import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { ArchiveManifestRecord } from '../../../contracts/records.js';
import type { ReportRecord } from '../../../contracts/performanceReport.js';
import { archiveTopic, reportsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { dailyReports } from '../../../models/monitoring/dailyReports.js';
import { OutcomeCounts } from '../../../models/monitoring/outcomeCounts.js';
import { PredictionCounts } from '../../../models/monitoring/predictionCounts.js';
import { outcomeReport, predictionReport } from '../../../models/monitoring/performanceReport.js';
import type { LogProducer } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import { archivedTopics, type ArchivedTopic } from '../../../streams/topologies/archive/archivedTopics.js';
import { readReports } from '../../../workers/readReports.js';
import { predictionOf } from '../../support/predictions.js';

const HOUR = 3_600_000;
const topic = reportsTopic('p', 'fraud');
const log = createMemoryLog({ clock: () => 1 });
let folder: string;
let offline: OfflineStore;
let producer: LogProducer;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-reports-'));
  offline = await openDuckdbStore({ threads: 1 });
  producer = await log.producer();
});
afterAll(async () => {
  await producer.close();
  await offline.close();
  await rm(folder, { recursive: true });
});

function report(hour: number, revision: number, isLabelled: boolean): ReportRecord {
  const [predictions, outcomes] = [new PredictionCounts(), new OutcomeCounts()];
  predictions.addServed(predictionOf({ score: 0.25, service: fraud.compiled.service.hash, vector: [1, null] }));
  outcomes.add(0.25, 0, 'natural', 1);
  return {
    model: 'fraud',
    version: 1,
    role: 'champion',
    from: hour * HOUR,
    to: (hour + 1) * HOUR,
    generation: 1,
    revision,
    predictions: predictionReport(predictions, () => null),
    outcomes: isLabelled ? outcomeReport(outcomes) : null,
    counts: { predictions: predictions.encode(), outcomes: isLabelled ? outcomes.encode() : null },
  };
}

/** Archives the first records of the topic as the archive does; gives the file. */
async function archive(reports: readonly ReportRecord[]): Promise<string> {
  const archived = archivedTopics('p', fraud.compiled).find((each) => each.topic === topic) as ArchivedTopic;
  const objects = openDiskObjectStore(join(folder, 'objects'));
  const file = join(folder, 'reports.parquet');
  const events = reports.map((each, offset) => {
    const record = { topic, partition: 0, offset, timestamp: 1, key: null, headers: {} };
    const values = archived.row({ ...record, value: Buffer.from(JSON.stringify(each)) }) ?? [];
    return { time: 1, id: offset, values, partition: 0, offset, appendedAt: 1 };
  });
  await offline.writeEvents(archived.stream, file, events);
  const { uri, sha256 } = await objects.putFile(`archive/p/${topic}`, 'parquet', file);
  const manifest: ArchiveManifestRecord = {
    topic,
    partition: 0,
    first: 0,
    last: reports.length - 1,
    rows: reports.length,
    files: [{ uri, sha256 }],
  };
  await producer.send([{ topic: archiveTopic('p'), key: 'k', value: JSON.stringify(manifest) }]);
  return objects.localPath(uri, sha256);
}

test('reports are read from the archive, and from the log what that does not have', async () => {
  const parts = { project: 'p', log, offline, objects: openDiskObjectStore(join(folder, 'objects')) };
  expect(await readReports(parts, 'fraud')).toEqual([]);
  await log.ensureTopics([topic, archiveTopic('p')].map((name) => ({ topic: name, partitions: 1 })));
  const reports = [report(0, 0, false), report(1, 0, false), report(0, 1, true)];
  await producer.send(reports.map((each) => ({ topic, key: 'fraud/1', value: JSON.stringify(each) })));
  const fromLog = await readReports(parts, 'fraud');
  await archive(reports.slice(0, 2));
  const both = await readReports(parts, 'fraud');
  expect(both).toHaveLength(3);
  for (const [at, { from, to, version, role, revision, counts }] of reports.entries())
    expect(both[at]).toMatchObject({ from, to, version, role, revision, counts });
  expect(dailyReports('fraud', both, () => null)).toEqual(dailyReports('fraud', fromLog, () => null));
  expect(dailyReports('fraud', both, () => null)).toMatchObject([{ predictions: { rows: 2 }, outcomes: { rows: 1 } }]);
});

test('archived reports have a column for each number, null where there is none', async () => {
  const { stream } = archivedTopics('p', fraud.compiled).find((each) => each.topic === topic) as ArchivedTopic;
  const file = await archive([report(0, 0, false), report(2, 1, true)]);
  const rows: Record<string, unknown>[] = [];
  for await (const events of offline.readEvents(stream, [file]))
    rows.push(
      ...events.map(({ values }) => Object.fromEntries(stream.fields.map(({ name }, at) => [name, values[at]]))),
    );
  expect(rows).toMatchObject([
    { bucket_from: 0, rows: 1, served: 1, log_loss: null, label_rate: null, null_rates: '{"column_1":1}' },
    { bucket_from: 2 * HOUR, revision: 1, labelled: 1, label_rate: 0, labels_by_source: '{"natural":1}' },
  ]);
});
