import { mkdirSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import { assert, messageOf, TidemillError } from '../../contracts/errors.js';
import type { Row, Sql, SqlChange, SqlDatabase, SqlValue } from './sqlDatabase.js';
import { createTurns } from './turns.js';
import { migrationsFrom, SCHEMA_VERSION, type SchemaDialect } from './sqlMigrations.js';

export interface SqliteDatabaseOptions {
  readonly file: string;
  readonly project: string;
  readonly clock: () => number;
  /** How long one attempt blocks for another writer, ms. */
  readonly busyTimeoutMs: number;
  /** Attempts before REGISTRY_BUSY. */
  readonly busyAttempts: number;
}

/**
 * A file gets one piece of work of this process at a time. On one connection, a reader would see half of an open
 * transaction; on two, the one that waits for the lock would block the thread that the other needs to let go of it.
 */
const turnsOfFiles = createTurns();

/** Opening switches the file to WAL and migrates it: it may meet other processes that do the same. */
const OPEN_ATTEMPTS = 100;
const OPEN_RETRY_MS = 50;
const MAX_RETRY_DELAY_MS = 200;

const DIALECT: SchemaDialect = {
  integer: 'INTEGER',
  text: 'TEXT',
  id: 'INTEGER PRIMARY KEY AUTOINCREMENT',
  strict: ' STRICT',
  refuse: (trigger, event, reason) =>
    `CREATE TRIGGER ${trigger} BEFORE ${event} BEGIN SELECT RAISE(ABORT, '${reason}'); END;`,
};

/**
 * Opens the file, creates it and its folder where they are missing, and brings its schema up to date. A file has one
 * writer at a time: every scope is the whole file.
 *
 * @throws TidemillError REGISTRY_BUSY, REGISTRY_INCOMPATIBLE
 */
export async function openSqliteDatabase(options: SqliteDatabaseOptions): Promise<SqlDatabase> {
  const { file, project, clock, busyTimeoutMs, busyAttempts } = options;
  mkdirSync(dirname(file), { recursive: true });
  const connection = new Database(file);
  const inTurn = <T>(work: () => Promise<T>): Promise<T> => turnsOfFiles(resolve(file), work);
  for (let attempt = 1; ; attempt++) {
    try {
      await inTurn(() => prepareFile(connection, file, busyTimeoutMs));
      break;
    } catch (error) {
      if (!isBusy(error) || attempt >= OPEN_ATTEMPTS) {
        connection.close();
        throw isBusy(error) ? busyError(file, attempt, error) : error;
      }
    }
    await sleep(OPEN_RETRY_MS);
  }

  const statements = new Map<string, Database.Statement>();
  const statement = (text: string): Database.Statement => {
    let known = statements.get(text);
    if (known === undefined) {
      known = connection.prepare(text);
      statements.set(text, known);
    }
    return known;
  };
  // Rows are always read to the end: a statement that is left in the middle would keep its read transaction open.
  const rows = async (text: string, values: readonly SqlValue[]): Promise<readonly Row[]> =>
    statement(text).all(values) as Row[];
  const reading: Sql = {
    project,
    rows: (text, ...values) => rows(text, values),
    row: async (text, ...values) => (await rows(text, values))[0] ?? null,
  };
  const changing = (): SqlChange => ({
    ...reading,
    now: clock(),
    run: async (text, ...values) => statement(text).run(values).changes,
  });

  let open = true;
  const retrying = async <T>(work: () => Promise<T>): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      try {
        return await inTurn(() => {
          assert(open, `the registry ${file} is open`);
          return work();
        });
      } catch (error) {
        if (!isBusy(error)) throw error;
        if (attempt >= busyAttempts) throw busyError(file, attempt, error);
      }
      // Some jitter, so that writers that met do not meet again.
      await sleep(Math.min(2 ** attempt, MAX_RETRY_DELAY_MS) * (0.5 + Math.random() / 2));
    }
  };

  return {
    write: (_scope, work) => retrying(() => transaction(connection, () => work(changing()))),
    read: (work) => retrying(() => work(reading)),
    now: async () => clock(),
    close: () =>
      inTurn(async () => {
        if (!open) return;
        open = false;
        statements.clear();
        connection.close();
      }),
  };
}

async function prepareFile(connection: Database.Database, file: string, busyTimeoutMs: number): Promise<void> {
  connection.exec(`PRAGMA busy_timeout = ${Math.trunc(busyTimeoutMs)}`);
  connection.exec('PRAGMA journal_mode = WAL');
  // FULL: a promotion that was answered survives a power cut, not only a crash of the process.
  connection.exec('PRAGMA synchronous = FULL');
  connection.exec('PRAGMA foreign_keys = ON');
  await migrate(connection, file);
}

/** Of several processes that open a new file one makes the schema, and the others find it made. */
async function migrate(connection: Database.Database, file: string): Promise<void> {
  if (schemaOf(connection) === SCHEMA_VERSION) return;
  await transaction(connection, async () => {
    for (const step of migrationsFrom(schemaOf(connection), DIALECT, file)) connection.exec(step);
    connection.exec(`PRAGMA user_version = ${SCHEMA_VERSION}`);
  });
}

function schemaOf(connection: Database.Database): number {
  const [row] = connection.prepare('PRAGMA user_version').all() as { user_version: number }[];
  return row?.user_version ?? 0;
}

/** Immediate: it sees the newest state and nobody writes in between. */
async function transaction<T>(connection: Database.Database, work: () => Promise<T>): Promise<T> {
  connection.exec('BEGIN IMMEDIATE');
  try {
    const result = await work();
    connection.exec('COMMIT');
    return result;
  } catch (error) {
    // SQLite has already rolled back after some errors (a full disk); a second ROLLBACK would hide the cause.
    if (connection.inTransaction) connection.exec('ROLLBACK');
    throw error;
  }
}

function isBusy(error: unknown): boolean {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' && /^SQLITE_(BUSY|LOCKED)/.test(code);
}

function busyError(file: string, attempts: number, cause: unknown): TidemillError {
  return new TidemillError(
    'REGISTRY_BUSY',
    `${file} was locked by another writer in ${attempts} attempts: ${messageOf(cause)}`,
    { file, attempts },
    { cause },
  );
}
