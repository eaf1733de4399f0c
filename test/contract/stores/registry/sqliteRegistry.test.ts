import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import Database from 'libsql';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openSqliteRegistry } from '../../../../stores/registry/sqliteRegistry.js';
import { describeCompetition } from './competitionSuite.js';
import { describeRegistry, draftOf, expectCode, useOf } from './registrySuite.js';

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
    await registry.journalIntent(fence, 'approval', {});
    await registry.consumeApproval(fence, useOf('t1', 'a1'));
    const other = new Database(file);
    for (const statement of [
      'DELETE FROM audit',
      `UPDATE audit SET hash = 'x'`,
      'DELETE FROM versions',
      `UPDATE versions SET draft = '{}'`,
      `UPDATE versions SET sha256 = 'x'`,
      'DELETE FROM approvals',
      `UPDATE approvals SET jti = NULL`,
    ]) {
      expect(() => other.exec(statement), statement).toThrow(/append-only/);
    }
    other.close();
    await registry.close();
  });

  test('a file of an older program gets what it lacks and keeps what it has', async () => {
    const before = await openSqliteRegistry({ file });
    await before.registerVersion(draftOf('fraud', 'a'), await before.openRollout('fraud', 'w1', 'manual'));
    const versions = await before.versions('fraud');
    await before.close();
    const other = new Database(file);
    other.exec(
      'ALTER TABLE instances DROP COLUMN refused_epoch; ALTER TABLE instances DROP COLUMN features; DROP TABLE approvals; DROP TABLE version_views; PRAGMA user_version = 1',
    );
    other.close();
    const registry = await openSqliteRegistry({ file });
    expect(await registry.versions('fraud')).toEqual(versions);
    expect(await registry.versionsReading('spending')).toEqual([]);
    expect(await registry.approval('fraud', 1)).toBeNull();
    await registry.close();
  });

  test('registries of one process on one file do not keep each other waiting for the lock', async () => {
    // An attempt that met a lock would fail at once.
    const registries = await Promise.all(
      [1, 2, 3].map(() => openSqliteRegistry({ file, busyTimeoutMs: 0, busyAttempts: 1 })),
    );
    const holders = Array.from({ length: 10 }, (_, index) => `w${index}`);
    const rollouts = await Promise.all(
      holders.flatMap((holder) =>
        registries.map((registry, at) => registry.openRollout('fraud', `${holder} of ${at}`, 'manual')),
      ),
    );
    expect(rollouts.map(({ token }) => token)).toEqual(Array.from({ length: 30 }, (_, index) => index + 1));
    for (const registry of registries) await registry.close();
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

describeCompetition('a SQLite file', () => ({ kind: 'sqlite', file }));
