import { execFile } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PredictionLineage, ViewReaderReport } from '../../../contracts/lineageReport.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { changeOf, draftOf } from '../../contract/stores/registry/registrySuite.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { predictionOf } from '../../support/predictions.js';

const run = promisify(execFile);
const main = join(process.cwd(), 'dist', 'cli', 'main.js');

describe('tidemill lineage', () => {
  let kafka: TestKafka;
  let home: string;
  beforeAll(async () => {
    kafka = await startTestKafka();
    home = join(kafka.directory, 'home');
    const objects = openDiskObjectStore(join(home, 'objects'));
    const manifest = {
      rows: 100,
      positives: 7,
      asServed: 60,
      window: { from: 0, to: 86_400_000, labelCutOff: 172_800_000 },
      offsets: { 'p.transactions': { 0: 5_000, 1: 4_900 } },
    };
    const dataset = await objects.put('manifests', 'json', Buffer.from(JSON.stringify(manifest)));
    const registry = await openSqliteRegistry({ file: join(home, 'registry.db'), project: 'p' });
    for (const version of [1, 2, 3]) {
      const fence = await registry.openRollout('fraud', `p/retrain/fraud/${version}`, 'manual');
      const views = { customer_spending: `${version}`.repeat(64) };
      await registry.registerVersion({ ...draftOf('fraud', `${version}`), dataset, lineage: { views } }, fence);
      if (version === 2) await registry.changeDeployment(changeOf(fence, 'commit', 0, { champion: 2 }));
      if (version === 3) await registry.rejectVersion('fraud', 3, 'worse', fence);
      await registry.closeRollout(fence, 'done');
    }
    await registry.close();
    await kafka.log.ensureTopics(
      ['p.fraud.predictions', 'p.fraud.cuts', 'p.archive'].map((topic) => ({ topic, partitions: 2 })),
    );
    const producer = await kafka.log.producer();
    const cut = { id: 'terminal-1-40', folded: { 'p.fraud-labels': { 0: 200, 1: 190 } } };
    const prediction = predictionOf({ id: 1_042, version: 2, cut: cut.id, score: 0.75, decision: 'review' });
    await producer.send([
      { topic: 'p.fraud.cuts', key: cut.id, value: JSON.stringify(cut) },
      { topic: 'p.fraud.predictions', partition: 1, key: '3', value: JSON.stringify(prediction) },
    ]);
    await producer.close();
  });
  afterAll(() => kafka.stop());

  const tidemill = async (...args: string[]): Promise<string> => {
    const { TIDEMILL_REGISTRY: _registry, ...rest } = process.env;
    const env = {
      ...rest,
      TIDEMILL_PROJECT_ID: 'p',
      TIDEMILL_PROJECT: join(process.cwd(), 'dist', 'examples', 'fraud', 'project.js'),
      TIDEMILL_KAFKA: kafka.broker,
    };
    return (await run(process.execPath, [main, '--home', home, 'lineage', ...args], { env })).stdout;
  };

  test('of a prediction shows what served it, what that learned from, and what was known', async () => {
    const text = await tidemill('prediction', 'fraud', '1042');
    expect(text).toMatch(
      /^prediction 1042 of fraud\n {2}request +1970-01-01T00:00:01\.000Z\n {2}answer +0\.75, review\n/,
    );
    expect(text).toContain('served by version 2, registered, as champion in epoch 1\n');
    expect(text).toContain('stands in p.fraud.predictions-1 offset 0 (log)\n');
    expect(text).toMatch(/cut\n.*\np\.transactions +0 +7 +the request\np\.fraud-labels +0 +200 +known below\n/);
    expect(text).toContain('100, 7 positive, 60 as served');
    expect(text).toMatch(/learned from\n.*\np\.transactions +0 +5000\np\.transactions +1 +4900\n/);
    expect(text).toMatch(/customer_spending +222222222222$/m);
    const found = JSON.parse(await tidemill('prediction', 'fraud', '1042', '--json')) as PredictionLineage;
    expect(found).toMatchObject({ id: 1_042, version: { version: 2 }, cut: { request: { offset: 7 } } });
  });

  test('of a prediction that there is not is an error with its code', async () => {
    const failed: unknown = await tidemill('prediction', 'fraud', '7').catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect((failed as { stderr: string }).stderr).toMatch(/^PREDICTION_NOT_FOUND: /);
  });

  test('of a view names the versions that read it, and which of them is the champion', async () => {
    const rows = JSON.parse(await tidemill('view', 'customer_spending', '--json')) as ViewReaderReport[];
    expect(rows.map(({ version, status, role }) => [version, status, role])).toEqual([
      [1, 'registered', null],
      [2, 'registered', 'champion'],
      [3, 'rejected', null],
    ]);
    expect(await tidemill('view', 'customer_spending')).toMatch(/fraud +2 +registered +champion +222222222222\n/);
    expect(await tidemill('view', 'terminal_risk')).toBe('no version reads terminal_risk\n');
  });
});
