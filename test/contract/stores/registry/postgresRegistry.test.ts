import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { inspect } from 'node:util';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { verifyAudit } from '../../../../stores/registry/auditChain.js';
import { openPostgresDatabase } from '../../../../stores/registry/postgresDatabase.js';
import { openPostgresRegistry, type PostgresRegistryOptions } from '../../../../stores/registry/postgresRegistry.js';
import type { Registry } from '../../../../stores/registry/registry.js';
import { modelScope } from '../../../../stores/registry/sqlDatabase.js';
import { connectSql, hasPostgres, runSql, startTestPostgres, type TestPostgres } from '../../../support/postgres.js';
import { describeCompetition } from './competitionSuite.js';
import { changeOf, describeRegistry, draftOf, expectCode } from './registrySuite.js';

describe.skipIf(!(await hasPostgres()))('with a PostgreSQL server', () => {
  let postgres: TestPostgres;
  let shared = '';
  let url = '';
  beforeAll(async () => {
    postgres = await startTestPostgres();
    shared = await postgres.createDatabase();
  });
  afterAll(async () => {
    await postgres.stop();
  });

  describeRegistry('PostgreSQL registry', () => {
    // Projects do not see each other: a new one is an empty store.
    const own = randomUUID();
    let nowMs = 0;
    return {
      open: (project = 'fraud-project') =>
        openPostgresRegistry({ url: shared, project: `${project}-${own}`, clock: () => nowMs }),
      setClock(ms) {
        nowMs = ms;
      },
      dispose: () => Promise.resolve(),
    };
  });

  describe('a database of its own', () => {
    beforeEach(async () => {
      url = await postgres.createDatabase();
    });
    describeCompetition('a PostgreSQL database', () => ({ kind: 'postgres', url }));
  });

  describe('PostgreSQL database', () => {
    const opened: Registry[] = [];
    const open = async (options: Partial<PostgresRegistryOptions> = {}): Promise<Registry> => {
      const registry = await openPostgresRegistry({ url, ...options });
      opened.push(registry);
      return registry;
    };
    /** Every insert into `table` runs `fault` before it, as long as the sequence `faults` is below `times`. */
    const breakInserts = (table: string, fault: string, times: number, when = 'BEFORE'): Promise<unknown> =>
      runSql(
        url,
        `CREATE SEQUENCE faults;
         CREATE FUNCTION fail() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
           IF nextval('faults') <= ${times} THEN ${fault}; END IF;
           RETURN NEW;
         END $$;
         ${
           when === 'BEFORE'
             ? `CREATE TRIGGER failing BEFORE INSERT ON ${table}`
             : `CREATE CONSTRAINT TRIGGER failing AFTER INSERT ON ${table} DEFERRABLE INITIALLY DEFERRED`
         } FOR EACH ROW EXECUTE FUNCTION fail()`,
      );
    const waitingBackends = `SELECT pid FROM pg_stat_activity
      WHERE application_name LIKE 'tidemill/%' AND datname = current_database() AND wait_event_type = 'Lock'`;

    beforeEach(async () => {
      url = await postgres.createDatabase();
      return async () => {
        for (const registry of opened.splice(0)) await registry.close();
      };
    });

    test('a writer that never lets go ends in REGISTRY_BUSY, and reads go on', async () => {
      const registry = await open({ busyTimeoutMs: 200 });
      const fence = await registry.openRollout('fraud', 'w1', 'manual');
      const other = await connectSql(url);
      await other.query('BEGIN; LOCK TABLE rollouts IN EXCLUSIVE MODE');
      await expectCode(registry.setPhase(fence, 'training'), 'REGISTRY_BUSY');
      expect((await registry.rollout('fraud', 1))?.phase).toBe('opened');
      await other.query('ROLLBACK');
      await other.end();
      await registry.setPhase(fence, 'training');
      expect((await registry.rollout('fraud', 1))?.phase).toBe('training');
    });

    test('changes wait for a writer that lets go, each is made once, and other models do not wait', async () => {
      const registry = await open();
      const fence = await registry.openRollout('fraud', 'w1', 'manual');
      const other = await connectSql(url);
      await other.query(`BEGIN; SELECT * FROM rollouts WHERE model = 'fraud' FOR UPDATE`);
      const changes = [
        ...['training', 'gates'].map((phase) => registry.setPhase(fence, phase)),
        registry.changeDeployment(changeOf(fence, 'commit', 0)),
      ];
      while ((await runSql(url, waitingBackends)).length === 0) await sleep(10);
      // Those that wait for the model hold one connection together.
      expect(await runSql(url, waitingBackends)).toHaveLength(1);
      await registry.openRollout('churn', 'w2', 'manual');
      expect(await registry.deployment('fraud')).toBeNull();
      await other.query('ROLLBACK');
      await other.end();
      await Promise.all(changes);
      expect((await registry.rollout('fraud', 1))?.phase).toBe('gates');
      expect((await registry.deployment('fraud'))?.epoch).toBe(1);
      expect(verifyAudit(await registry.auditRows('fraud'))).toMatchObject({ kind: 'intact', rows: 2 });
    });

    test.each([
      ['a serialization failure', '40001'],
      ['a deadlock', '40P01'],
    ])('%s is tried again, and where it does not end it is REGISTRY_BUSY', async (_, code) => {
      const registry = await open({ busyTimeoutMs: 2_000 });
      await breakInserts('audit', `RAISE EXCEPTION 'in the way' USING ERRCODE = '${code}'`, 3);
      expect((await registry.openRollout('fraud', 'w1', 'manual')).token).toBe(1);
      expect(await registry.auditRows('fraud')).toHaveLength(1);
      await runSql(
        url,
        `ALTER SEQUENCE faults RESTART WITH 1; ALTER SEQUENCE faults INCREMENT BY -1 MINVALUE -1000000`,
      );
      await expectCode(registry.openRollout('fraud', 'w2', 'manual'), 'REGISTRY_BUSY');
      expect(await registry.rollouts('fraud')).toHaveLength(1);
    });

    test('a defect is neither repeated nor hidden', async () => {
      const registry = await open();
      await breakInserts('audit', `RAISE EXCEPTION 'unforeseen'`, 1);
      await expect(registry.openRollout('fraud', 'w1', 'manual')).rejects.toThrow('unforeseen');
      expect(await registry.rollouts('fraud')).toEqual([]);
      expect((await registry.openRollout('fraud', 'w1', 'manual')).token).toBe(1);
    });

    test('a change whose connection breaks before it is committed is made on another one', async () => {
      const registry = await open();
      await registry.openRollout('fraud', 'w1', 'manual');
      const other = await connectSql(url);
      await other.query('BEGIN; LOCK TABLE audit IN EXCLUSIVE MODE');
      const second = registry.openRollout('fraud', 'w2', 'manual');
      while ((await runSql(url, waitingBackends)).length === 0) await sleep(10);
      expect(await runSql(url, `SELECT pg_terminate_backend(pid) AS ended FROM (${waitingBackends}) AS w`)).toEqual([
        { ended: true },
      ]);
      await other.query('ROLLBACK');
      await other.end();
      expect((await second).token).toBe(2);
      expect(await registry.rollouts('fraud')).toHaveLength(2);
      expect(verifyAudit(await registry.auditRows('fraud'))).toMatchObject({ kind: 'intact', rows: 2 });
    });

    test('a change whose connection breaks while it is committed says so, and a repeat is made once', async () => {
      const registry = await open();
      const fence = await registry.openRollout('fraud', 'w1', 'manual');
      await breakInserts('outbox', 'PERFORM pg_terminate_backend(pg_backend_pid())', 1, 'COMMIT');
      const change = changeOf(fence, 'commit', 0);
      await expect(registry.changeDeployment(change)).rejects.toMatchObject({
        code: 'REGISTRY_UNAVAILABLE',
        details: { problem: 'unknown', attempts: 1 },
      });
      expect((await registry.changeDeployment(change)).epoch).toBe(1);
      expect(await registry.pendingOutbox(10)).toHaveLength(1);
      expect(verifyAudit(await registry.auditRows('fraud'))).toMatchObject({ kind: 'intact', rows: 2 });
    });

    test('a process that falls silent within a change loses its turn, and the change with it', async () => {
      const registry = await open();
      const database = await openPostgresDatabase({
        url,
        project: 'default',
        clock: null,
        busyTimeoutMs: 15_000,
        reconnectTimeoutMs: 50,
        maxConnections: 1,
        silenceTimeoutMs: 100,
      });
      let wake = (): void => undefined;
      const sleeping = new Promise<void>((resolve) => (wake = resolve));
      let hasBegun = (): void => undefined;
      const begun = new Promise<void>((resolve) => (hasBegun = resolve));
      const silent = database.write(modelScope('fraud'), async (sql) => {
        await sql.run(`INSERT INTO outbox (project, model, record) VALUES (?, 'fraud', '{}')`, sql.project);
        hasBegun();
        await sleeping;
      });
      const refused = expectCode(silent, 'REGISTRY_UNAVAILABLE');
      await begun;
      expect((await registry.openRollout('fraud', 'w1', 'manual')).token).toBe(1);
      wake();
      await refused;
      expect(await registry.pendingOutbox(10)).toEqual([]);
      await database.close();
    });

    test('a server that goes away is REGISTRY_UNAVAILABLE, and once it is back the registry goes on', async () => {
      const registry = await open({ reconnectTimeoutMs: 50 });
      const fence = await registry.openRollout('fraud', 'w1', 'manual');
      await postgres.shutDown();
      const thrown = await registry.setPhase(fence, 'training').catch((error: unknown) => error);
      expect(isTidemillError(thrown, 'REGISTRY_UNAVAILABLE')).toBe(true);
      await expectCode(registry.deployment('fraud'), 'REGISTRY_UNAVAILABLE');
      await expectCode(openPostgresRegistry({ url, reconnectTimeoutMs: 50 }), 'REGISTRY_UNAVAILABLE');
      for (const secret of postgres.secrets) expect(inspect(thrown, { depth: null })).not.toContain(secret);
      await postgres.startAgain();
      await registry.setPhase(fence, 'training');
      expect((await registry.rollout('fraud', 1))?.phase).toBe('training');
    });

    test('a server that lets nobody in is told from one that is away, and no password is said', async () => {
      for (const [wrong, problem] of [
        [url.replace(/:[^:@]+@/, ':wr%23ng@'), /refuses this process: password authentication failed/],
        [url.replace(/d\d+$/, 'elsewhere'), /refuses this process: database "elsewhere" does not exist/],
      ] as const) {
        const thrown = await openPostgresRegistry({ url: wrong }).catch((error: unknown) => error);
        expect(thrown).toMatchObject({
          code: 'REGISTRY_UNAVAILABLE',
          message: expect.stringMatching(problem) as string,
        });
        for (const secret of [...postgres.secrets, 'wr%23ng', 'wr#ng']) {
          expect(inspect(thrown, { depth: null })).not.toContain(secret);
        }
      }
    });

    test('versions and audit rows cannot be changed or deleted in the database', async () => {
      const registry = await open();
      const fence = await registry.openRollout('fraud', 'w1', 'manual');
      await registry.registerVersion(draftOf('fraud', 'a'), fence);
      for (const statement of [
        'DELETE FROM audit',
        'TRUNCATE audit',
        `UPDATE audit SET hash = 'x'`,
        'DELETE FROM versions',
        'TRUNCATE versions',
        `UPDATE versions SET draft = '{}'`,
        `UPDATE versions SET sha256 = 'x'`,
        'DELETE FROM approvals',
        'TRUNCATE approvals',
        'UPDATE approvals SET jti = NULL',
      ]) {
        await expect(runSql(url, statement), statement).rejects.toThrow(/append-only/);
      }
    });

    test('a schema of a newer program is refused and left as it is', async () => {
      await open();
      await runSql(url, 'UPDATE schema_version SET version = 99');
      await expectCode(openPostgresRegistry({ url }), 'REGISTRY_INCOMPATIBLE');
      expect(await runSql(url, 'SELECT version FROM schema_version')).toEqual([{ version: 99 }]);
    });

    test('a role that may not change the schema works on one that is there, and makes none', async () => {
      const role = `worker${randomUUID().slice(0, 8)}`;
      await runSql(url, `CREATE ROLE ${role} LOGIN PASSWORD 'w'`);
      const asRole = url.replace(/\/\/[^@]+@/, `//${role}:w@`);
      await expectCode(openPostgresRegistry({ url: asRole }), 'REGISTRY_UNAVAILABLE');
      await open();
      await runSql(
        url,
        `GRANT USAGE ON SCHEMA tidemill TO ${role};
         GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA tidemill TO ${role}`,
      );
      const registry = await open({ url: asRole });
      const fence = await registry.openRollout('fraud', 'w1', 'manual');
      await registry.changeDeployment(changeOf(fence, 'commit', 0));
      expect(await registry.sweepInstances()).toBe(0);
    });

    test('leases end by the clock of the server, not of the process', async () => {
      const registry = await open();
      vi.useFakeTimers({ toFake: ['Date'], now: Date.parse('2001-01-01') });
      try {
        await registry.renewInstance(
          {
            instance: 'a',
            kind: 'stream',
            models: ['fraud'],
            readyEpoch: 0,
            activeEpoch: 0,
            breaker: 'closed',
            problem: null,
          },
          3_600_000,
        );
        expect(await registry.liveInstances('fraud')).toHaveLength(1);
        vi.setSystemTime(Date.parse('2101-01-01'));
        expect(await registry.sweepInstances()).toBe(0);
        const [lease] = await registry.liveInstances('fraud');
        const [clock] = await runSql(url, 'SELECT extract(epoch FROM clock_timestamp())::float8 * 1000 AS now');
        const ahead = (lease?.expiresAt ?? 0) - (clock?.['now'] as number);
        expect(ahead > 0 && ahead <= 3_600_000).toBe(true);
      } finally {
        vi.useRealTimers();
      }
    });

    test('a reason with characters that the database does not take is stored, and the audit keeps it as it was', async () => {
      const registry = await open();
      const fence = await registry.openRollout('fraud', 'w1', 'manual');
      await registry.registerVersion(draftOf('fraud', 'a'), fence);
      const reason = 'torn \0 bytes, 100 % 漢 ? \\ \' "';
      expect((await registry.rejectVersion('fraud', 1, reason, fence)).reason).toBe(reason.replace('\0', '\uFFFD'));
      const rows = await registry.auditRows('fraud');
      expect(rows.at(-1)?.reason).toBe(reason);
      expect(verifyAudit(rows).kind).toBe('intact');
    });

    test('a closed registry answers nothing', async () => {
      const registry = await open();
      await registry.close();
      await registry.close();
      await expect(registry.deployment('fraud')).rejects.toThrow(/is open/);
    });
  });
});
