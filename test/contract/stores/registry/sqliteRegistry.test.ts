import { execFile } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyAudit } from '../../../../stores/registry/auditChain.js';
import { openSqliteRegistry } from '../../../../stores/registry/sqliteRegistry.js';
import { changeOf, describeRegistry, draftOf, expectCode } from './registrySuite.js';

let folder = '';
let file = '';
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'tidemill-registry-'));
  file = join(folder, 'new', 'registry.db');
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describeRegistry('SQLite registry', () => {
  const own = mkdtempSync(join(tmpdir(), 'tidemill-registry-'));
  let nowMs = 0;
  return {
    open: (project = 'fraud-project') =>
      openSqliteRegistry({ file: join(own, 'registry.db'), project, clock: () => nowMs }),
    setClock(ms) {
      nowMs = ms;
    },
    async dispose() {
      rmSync(own, { recursive: true, force: true });
    },
  };
});

describe('SQLite file', () => {
  test('a writer that never lets go ends in REGISTRY_BUSY, and reads go on', async () => {
    const registry = await openSqliteRegistry({ file, busyTimeoutMs: 1, busyAttempts: 3 });
    const fence = await registry.openRollout('fraud', 'w1', 'manual');
    const other = new Database(file);
    other.exec('BEGIN IMMEDIATE');
    await expectCode(registry.setPhase(fence, 'training'), 'REGISTRY_BUSY');
    expect((await registry.rollout('fraud', 1))?.phase).toBe('opened');
    other.exec('ROLLBACK');
    other.close();
    await registry.setPhase(fence, 'training');
    expect((await registry.rollout('fraud', 1))?.phase).toBe('training');
    await registry.close();
  });

  test('a change waits for a writer that lets go', async () => {
    const registry = await openSqliteRegistry({ file, busyTimeoutMs: 1 });
    const fence = await registry.openRollout('fraud', 'w1', 'manual');
    const other = new Database(file);
    other.exec('BEGIN IMMEDIATE');
    const change = registry.setPhase(fence, 'training');
    await new Promise((resolve) => setTimeout(resolve, 30));
    other.exec('ROLLBACK');
    other.close();
    await change;
    expect((await registry.rollout('fraud', 1))?.phase).toBe('training');
    await registry.close();
  });

  test('versions and audit rows cannot be changed or deleted in the file', async () => {
    const registry = await openSqliteRegistry({ file });
    const fence = await registry.openRollout('fraud', 'w1', 'manual');
    await registry.registerVersion(draftOf('fraud', 'a'), fence);
    const other = new Database(file);
    for (const statement of [
      'DELETE FROM audit',
      `UPDATE audit SET hash = 'x'`,
      'DELETE FROM versions',
      `UPDATE versions SET draft = '{}'`,
      `UPDATE versions SET sha256 = 'x'`,
    ]) {
      expect(() => other.exec(statement), statement).toThrow(/append-only/);
    }
    other.close();
    await registry.close();
  });

  test('a file of a newer program is refused and left as it is', async () => {
    await (await openSqliteRegistry({ file })).close();
    const other = new Database(file);
    other.exec('PRAGMA user_version = 99');
    await expectCode(openSqliteRegistry({ file }), 'REGISTRY_INCOMPATIBLE');
    expect(other.prepare('PRAGMA user_version').all()).toMatchObject([{ user_version: 99 }]);
    other.close();
  });

  test('a closed registry answers nothing', async () => {
    const registry = await openSqliteRegistry({ file });
    await registry.close();
    await registry.close();
    await expect(registry.deployment('fraud')).rejects.toThrow(/is open/);
  });
});

// The other processes run the build.
const built = join(
  fileURLToPath(new URL('../../../../', import.meta.url)),
  'dist',
  'stores',
  'registry',
  'sqliteRegistry.js',
);

describe.skipIf(!existsSync(built))('several processes', () => {
  const competitor = fileURLToPath(new URL('./competitor.mjs', import.meta.url));
  const compete = async (name: string, changes: number): Promise<{ stale: number; tokens: number[] }> => {
    const { stdout } = await promisify(execFile)(process.execPath, [competitor, built, file, name, String(changes)]);
    return JSON.parse(stdout) as { stale: number; tokens: number[] };
  };

  test('a new file is created by one of those that open it at once', async () => {
    const openers = await Promise.allSettled(['a', 'b', 'c', 'd'].map((name) => compete(name, 0)));
    expect(openers.map(({ status }) => status)).toEqual(Array.from({ length: 4 }, () => 'fulfilled'));
  });

  test('every change is made once, from the epoch before it, and no token is issued twice', async () => {
    const processes = 4;
    const each = 20;
    const registry = await openSqliteRegistry({ file });
    const fence = await registry.openRollout('fraud', 'test', 'competition');
    await registry.changeDeployment(changeOf(fence, 'first', 0));
    const results = await Promise.all(Array.from({ length: processes }, (_, index) => compete(`p${index}`, each)));
    const changes = processes * each;
    expect((await registry.deployment('fraud'))?.epoch).toBe(changes + 1);
    const published = await registry.pendingOutbox(1_000);
    expect(published.map(({ deployment }) => deployment.epoch)).toEqual(
      Array.from({ length: changes + 1 }, (_, index) => index + 1),
    );
    const tokens = results.flatMap((result) => result.tokens).sort((a, b) => a - b);
    expect(tokens).toEqual(Array.from({ length: changes }, (_, index) => index + 1));
    for (const model of ['fraud', 'churn']) expect(verifyAudit(await registry.auditRows(model)).kind).toBe('intact');
    await registry.close();
  });
});
