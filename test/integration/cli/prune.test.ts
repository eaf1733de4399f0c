import { execFile } from 'node:child_process';
import { utimes } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { PruneReport } from '../../../contracts/pruneReport.js';
import type { ArchiveManifestRecord } from '../../../contracts/records.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { StoredObject } from '../../../stores/objects/objectStore.js';
import type { ObjectUpkeep } from '../../../stores/objects/objectUpkeep.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../contract/stores/registry/registrySuite.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';

const run = promisify(execFile);
const main = join(process.cwd(), 'dist', 'cli', 'main.js');

describe('tidemill prune', () => {
  let kafka: TestKafka;
  let home: string;
  let objects: ObjectUpkeep;
  beforeAll(async () => {
    kafka = await startTestKafka();
    home = join(kafka.directory, 'home');
    objects = openDiskObjectStore(join(home, 'objects'));
  });
  afterAll(() => kafka.stop());

  /** Stores an object as if long ago. */
  const stored = async (prefix: string, content: string): Promise<StoredObject> => {
    const object = await objects.put(prefix, prefix === 'manifests' ? 'json' : 'bin', Buffer.from(content));
    await utimes(await objects.localPath(object.uri, object.sha256), 1, 1);
    return object;
  };
  const tidemill = async (...args: string[]): Promise<string> => {
    const { TIDEMILL_KAFKA: _kafka, TIDEMILL_REGISTRY: _registry, ...env } = process.env;
    return (await run(process.execPath, [main, '--home', home, ...args], { env: { ...env, TIDEMILL_PROJECT_ID: 'p' } }))
      .stdout;
  };
  const withKafka = async (...args: string[]): Promise<PruneReport> => {
    const env = { ...process.env, TIDEMILL_PROJECT_ID: 'p', TIDEMILL_KAFKA: kafka.broker };
    const { stdout } = await run(process.execPath, [main, '--home', home, 'prune', '--json', ...args], { env });
    return JSON.parse(stdout) as PruneReport;
  };
  const urisOf = (list: readonly { readonly uri: string }[]): string[] => list.map(({ uri }) => uri);

  test('refuses objects of a registry that it does not know', async () => {
    await stored('models', 'release');
    await (await openSqliteRegistry({ file: join(home, 'registry.db'), project: 'p' })).close();
    const failed: unknown = await tidemill('prune').catch((error: unknown) => error);
    expect(failed).toMatchObject({ code: 2, stdout: '' });
    expect((failed as { stderr: string }).stderr).toContain('another registry');
  });

  test('says what it keeps and why, and what it would set aside', async () => {
    const artifact = await stored('models', 'release');
    const data = await stored('datasets', 'rows');
    const dataset = await stored('manifests', JSON.stringify({ uri: data.uri, sha256: data.sha256 }));
    const checkpoint = await stored('checkpoints', 'after 25 rounds');
    await stored('archive/p/p.transactions', 'a file');
    const registry = await openSqliteRegistry({ file: join(home, 'registry.db'), project: 'p' });
    const fence = await registry.openRollout('fraud', 'p/retrain/fraud/1', 'manual');
    await registry.registerVersion({ ...draftOf('fraud', artifact.sha256), artifact, dataset }, fence);
    await registry.closeRollout(fence, 'promoted');
    await registry.close();

    const text = await tidemill('prune', '--dry-run');
    expect(text).toMatch(new RegExp(`^set aside +${checkpoint.uri} +15 +no version, open rollout or manifest`, 'm'));
    expect(text).toMatch(/^2 +\d+ +version 1 of fraud \(registered\)$/m);
    expect(text).toMatch(/^1 +4 +the data of version 1 of fraud \(registered\)$/m);
    expect(text).toMatch(/^would be: deleted 0 \(0 bytes\), set aside 1 \(15 bytes\), .*, kept 3 /m);
    expect(urisOf(await objects.list('checkpoints'))).toEqual([checkpoint.uri]);
    expect(await tidemill('prune')).toMatch(/^deleted 0 .*, set aside 1 /m);
    expect(urisOf(await objects.listAside('checkpoints'))).toEqual([checkpoint.uri]);
    // The next run lets it lie for the grace time.
    expect(await tidemill('prune')).toMatch(/^1 +15 +aside for less than 1d$/m);
  });

  test('leaves the archive alone as long as manifests do not say what of it counts', async () => {
    expect(urisOf((await withKafka('--dry-run')).setAside)).toEqual([]);
  });

  test('sets aside files of the archive that no manifest names, and keeps those of topics that were deleted', async () => {
    const named = await stored('archive/p/p.transactions', 'named');
    const earlier = await stored('archive/p/p.transactions', 'of an earlier topic of that name');
    const another = await stored('archive/q/q.transactions', 'of another project');
    const manifest: ArchiveManifestRecord = {
      topic: 'p.transactions',
      partition: 0,
      first: 0,
      last: 9,
      rows: 10,
      files: [{ uri: named.uri, sha256: named.sha256 }],
      topicId: 'now',
    };
    const before = { ...manifest, files: [{ uri: earlier.uri, sha256: earlier.sha256 }], topicId: 'before' };
    await kafka.log.ensureTopics([{ topic: 'p.archive', partitions: 2 }]);
    const producer = await kafka.log.producer();
    await producer.send(
      [before, manifest].map((each) => ({ topic: 'p.archive', partition: 0, key: 'k', value: JSON.stringify(each) })),
    );
    await producer.close();
    const report = await withKafka();
    const leftover = await objects.listAside('archive/p');
    expect(urisOf(report.setAside)).toEqual(urisOf(leftover));
    expect(leftover).toHaveLength(1);
    for (const { uri } of [named, earlier])
      expect(report.kept.find((each) => each.uri === uri)?.why).toBe('archive of p.transactions');
    expect(urisOf(await objects.list('archive')).sort()).toEqual([named.uri, earlier.uri, another.uri].sort());
  });
});
