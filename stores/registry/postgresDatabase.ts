import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool, types, type PoolClient, type QueryResult } from 'pg';
import { assert, TidemillError } from '../../contracts/errors.js';
import { describeRegistryAddress } from '../../contracts/registryAddress.js';
import { failureOf, PostgresFailure } from './postgresFailures.js';
import { migratePostgres, NAMESPACE } from './postgresMigrations.js';
import type { Row, Sql, SqlChange, SqlDatabase, SqlValue } from './sqlDatabase.js';
import { createTurns } from './turns.js';

export interface PostgresDatabaseOptions {
  /** `postgres://USER:PASSWORD@HOST:PORT/DATABASE`. */
  readonly url: string;
  readonly project: string;
  /** Null: the server's clock, one for all machines. */
  readonly clock: (() => number) | null;
  readonly busyTimeoutMs: number;
  readonly reconnectTimeoutMs: number;
  readonly maxConnections: number;
  /**
   * How long a process may stay silent inside a transaction: one that is stopped, or whose machine is gone, holds its
   * scope no longer. A live one is silent for some milliseconds at most.
   */
  readonly silenceTimeoutMs: number;
}

const CONNECT_TIMEOUT_MS = 5_000;
const MAX_RETRY_DELAY_MS = 200;
/** Milliseconds of the server's clock. */
const SERVER_CLOCK = 'SELECT floor(extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now';
const INT8 = types.builtins.INT8;
const parserOf = types.getTypeParser as (oid: number, format?: 'text' | 'binary') => (text: string) => unknown;

/**
 * Connects and brings the schema up to date. A change holds an advisory lock of its scope until its transaction ends:
 *
 * 1. BEGIN, and the lock of the scope: from here on it sees all that earlier changes of the scope have committed, as
 *    every statement of a READ COMMITTED transaction does;
 * 2. its statements;
 * 3. COMMIT, which frees the lock.
 *
 * Up to 3, a change that was hindered or whose connection broke has left nothing behind and is attempted again. Where the
 * connection breaks in 3, nobody knows whether the change was made: the caller hears of it and repeats.
 *
 * @throws TidemillError REGISTRY_UNAVAILABLE, REGISTRY_BUSY, REGISTRY_INCOMPATIBLE
 */
export async function openPostgresDatabase(options: PostgresDatabaseOptions): Promise<SqlDatabase> {
  const { project, clock, busyTimeoutMs, reconnectTimeoutMs, maxConnections } = options;
  const place = describeRegistryAddress({ kind: 'postgres', url: options.url });
  const pool = new Pool({
    connectionString: withNamespace(options.url),
    application_name: `tidemill/${project}`,
    max: maxConnections,
    connectionTimeoutMillis: CONNECT_TIMEOUT_MS,
    lock_timeout: busyTimeoutMs,
    statement_timeout: 2 * busyTimeoutMs,
    // For a server that vanished: the one above is kept by the server.
    query_timeout: 2 * busyTimeoutMs + CONNECT_TIMEOUT_MS,
    idle_in_transaction_session_timeout: options.silenceTimeoutMs,
    keepAlive: true,
    types: { getTypeParser: (oid, format) => (oid === INT8 ? Number : parserOf(oid, format)) },
  });
  // A connection that breaks while nobody uses it is replaced by the next one who needs one.
  pool.on('error', () => undefined);
  pool.on('connect', (client) => client.on('error', () => undefined));

  let open = true;
  const retrying = async <T>(attempt: (remainingMs: () => number) => Promise<T>): Promise<T> => {
    const started = performance.now();
    for (let made = 1; ; made++) {
      assert(open, `the registry ${place} is open`);
      try {
        return await attempt(() => Math.max(1, Math.ceil(started + busyTimeoutMs - performance.now())));
      } catch (error) {
        if (!(error instanceof PostgresFailure)) throw error;
        const timeoutMs = { busy: busyTimeoutMs, lost: reconnectTimeoutMs, unknown: 0, refused: 0 }[error.kind];
        if (performance.now() - started >= timeoutMs) throw codedError(place, made, error);
      }
      // Some jitter, so that those who met do not meet again.
      await sleep(Math.min(2 ** made, MAX_RETRY_DELAY_MS) * (0.5 + Math.random() / 2));
    }
  };

  const change = <T>(scope: string, lockTimeoutMs: number, work: (sql: SqlChange) => Promise<T>): Promise<T> =>
    withClient(pool, async (client) => {
      // 1
      const begun = (await query(
        client,
        `BEGIN; SET LOCAL lock_timeout = ${lockTimeoutMs}; SELECT pg_advisory_xact_lock(${lockKey(project, scope)}); ${SERVER_CLOCK}`,
      )) as unknown as readonly QueryResult<Row>[];
      const now = clock?.() ?? (begun.at(-1)?.rows[0]?.['now'] as number);
      // 2
      const result = await work({
        ...readingOn(client, project),
        now,
        run: async (text, ...values) => (await query(client, text, values)).rowCount ?? 0,
      });
      // 3
      const { command } = await query(client, 'COMMIT').catch((error: unknown) => {
        throw error instanceof PostgresFailure && error.kind === 'lost'
          ? new PostgresFailure('unknown', error.cause)
          : error;
      });
      assert(command === 'COMMIT', 'a transaction without a failed statement is committed');
      return result;
    });

  // Those of this process who want a scope wait for it here, not each on a connection.
  const inTurn = createTurns();
  const database: SqlDatabase = {
    write: (scope, work) => retrying((remainingMs) => inTurn(scope, () => change(scope, remainingMs(), work))),
    read: (work) => retrying(() => withClient(pool, (client) => work(readingOn(client, project)))),
    now: async () =>
      clock?.() ??
      (await retrying(() =>
        withClient(pool, async (client) => (await query(client, SERVER_CLOCK)).rows[0]?.['now'] as number),
      )),
    async close() {
      if (!open) return;
      open = false;
      await pool.end();
    },
  };
  try {
    await retrying(() => withClient(pool, (client) => migratePostgres((text) => query(client, text), place)));
  } catch (error) {
    await database.close();
    throw error;
  }
  return database;
}

/** Runs `work` on a connection, which is given back as it was: outside of a transaction, or not at all. */
async function withClient<T>(pool: Pool, work: (client: PoolClient) => Promise<T>): Promise<T> {
  const client = await pool.connect().catch((error: unknown) => {
    // With all connections taken it was not the server that kept us waiting.
    const isCrowded = pool.totalCount >= pool.options.max && pool.idleCount === 0;
    throw isCrowded ? new PostgresFailure('busy', error) : failureOf(error);
  });
  let isUsable = false;
  try {
    const result = await work(client);
    isUsable = true;
    return result;
  } catch (error) {
    if (!(error instanceof PostgresFailure && (error.kind === 'lost' || error.kind === 'unknown'))) {
      // Outside of a transaction it is a warning.
      isUsable = await client.query('ROLLBACK').then(
        () => true,
        () => false,
      );
    }
    throw error;
  } finally {
    client.release(!isUsable);
  }
}

/** @throws PostgresFailure, or the driver's own error where it is a defect. */
async function query(
  client: PoolClient,
  text: string,
  values: readonly SqlValue[] = [],
): Promise<QueryResult<Record<string, unknown>>> {
  try {
    // Without values several statements may stand in one text.
    return values.length === 0
      ? await client.query(text)
      : await client.query(numbered(text), values.map(withoutZeros));
  } catch (error) {
    throw failureOf(error);
  }
}

function readingOn(client: PoolClient, project: string): Sql {
  const rows = async (text: string, values: readonly SqlValue[]): Promise<readonly Row[]> =>
    (await query(client, text, values)).rows;
  return {
    project,
    rows: (text, ...values) => rows(text, values),
    row: async (text, ...values) => (await rows(text, values))[0] ?? null,
  };
}

/** `a = ? AND b = ?` is `a = $1 AND b = $2`. */
function numbered(text: string): string {
  let count = 0;
  return text.replaceAll('?', () => `$${++count}`);
}

/** PostgreSQL's text holds every character but this one, which error messages of other programs may. */
function withoutZeros(value: SqlValue): SqlValue {
  return typeof value === 'string' ? value.replaceAll('\0', '\uFFFD') : value;
}

/** Key of a scope's advisory lock: 64 bits of a hash. Scopes that share one would wait for each other, no more. */
function lockKey(project: string, scope: string): bigint {
  return createHash('sha256').update(`tidemill\0${project}\0${scope}`).digest().readBigInt64BE();
}

/** The tables are found in Tidemill's own namespace: the database may serve others too. */
function withNamespace(url: string): string {
  const parsed = new URL(url);
  const given = parsed.searchParams.get('options');
  parsed.searchParams.set('options', `${given === null ? '' : `${given} `}-c search_path=${NAMESPACE}`);
  return parsed.href;
}

function codedError(place: string, attempts: number, failure: PostgresFailure): TidemillError {
  const { kind, message, cause } = failure;
  const code = kind === 'busy' ? 'REGISTRY_BUSY' : 'REGISTRY_UNAVAILABLE';
  const problem = {
    busy: `was locked by other transactions in ${attempts} attempts`,
    lost: 'does not answer',
    unknown: 'went away while it committed a change, which may or may not have been made',
    refused: 'refuses this process',
  }[kind];
  return new TidemillError(
    code,
    `${place} ${problem}: ${message}`,
    { registry: place, attempts, problem: kind },
    { cause },
  );
}
