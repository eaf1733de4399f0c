import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import { assert, messageOf, TidemillError } from '../../contracts/errors.js';
import { migrate } from './sqliteMigrations.js';

export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, unknown>>;

/** What one transaction may do. All of it is synchronous: nothing else of this process comes between its statements. */
export interface Sql {
  /** The clock at the start of the transaction, ms. */
  readonly now: number;
  /** Project whose rows are seen. */
  readonly project: string;
  rows(text: string, ...values: readonly SqlValue[]): readonly Row[];
  /** The first row, or null. */
  row(text: string, ...values: readonly SqlValue[]): Row | null;
  /** Number of rows changed. */
  run(text: string, ...values: readonly SqlValue[]): number;
}

export interface SqliteDatabase {
  /** One immediate transaction: it sees the newest state and nobody writes in between. */
  write<T>(work: (sql: Sql) => T): Promise<T>;
  /** Statements outside of a transaction: each sees one state. */
  read<T>(work: (sql: Sql) => T): Promise<T>;
  close(): void;
}

export interface SqliteDatabaseOptions {
  readonly file: string;
  readonly project: string;
  readonly clock: () => number;
  /** How long one attempt blocks for another writer, ms. */
  readonly busyTimeoutMs: number;
  /** Attempts before REGISTRY_BUSY. */
  readonly busyAttempts: number;
}

/** Opening switches the file to WAL and migrates it: it may meet other processes that do the same. */
const OPEN_ATTEMPTS = 100;
const OPEN_RETRY_MS = 50;
const MAX_RETRY_DELAY_MS = 200;

/**
 * Opens the file, creates it and its folder where they are missing, and brings its schema up to date.
 *
 * @throws TidemillError REGISTRY_BUSY, REGISTRY_INCOMPATIBLE
 */
export async function openSqliteDatabase(options: SqliteDatabaseOptions): Promise<SqliteDatabase> {
  const { file, project, clock, busyTimeoutMs, busyAttempts } = options;
  mkdirSync(dirname(file), { recursive: true });
  const connection = new Database(file);
  try {
    await prepareFile(connection, file, busyTimeoutMs);
  } catch (error) {
    connection.close();
    throw error;
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
  const rows = (text: string, values: readonly SqlValue[]): readonly Row[] => statement(text).all(values) as Row[];
  const sqlAt = (now: number): Sql => ({
    now,
    project,
    rows: (text, ...values) => rows(text, values),
    row: (text, ...values) => rows(text, values)[0] ?? null,
    run: (text, ...values) => statement(text).run(values).changes,
  });

  let open = true;
  const retrying = async <T>(work: () => T): Promise<T> => {
    for (let attempt = 1; ; attempt++) {
      assert(open, `the registry ${file} is open`);
      try {
        return work();
      } catch (error) {
        if (!isBusy(error)) throw error;
        if (attempt >= busyAttempts) throw busyError(file, attempt, error);
      }
      // Some jitter, so that writers that met do not meet again.
      await sleep(Math.min(2 ** attempt, MAX_RETRY_DELAY_MS) * (0.5 + Math.random() / 2));
    }
  };

  return {
    write: (work) => retrying(() => transaction(connection, () => work(sqlAt(clock())))),
    read: (work) => retrying(() => work(sqlAt(clock()))),
    close() {
      if (!open) return;
      open = false;
      statements.clear();
      connection.close();
    },
  };
}

async function prepareFile(connection: Database.Database, file: string, busyTimeoutMs: number): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      connection.exec(`PRAGMA busy_timeout = ${Math.trunc(busyTimeoutMs)}`);
      connection.exec('PRAGMA journal_mode = WAL');
      // FULL: a promotion that was answered survives a power cut, not only a crash of the process.
      connection.exec('PRAGMA synchronous = FULL');
      connection.exec('PRAGMA foreign_keys = ON');
      migrate(connection, file, (work) => transaction(connection, work));
      return;
    } catch (error) {
      if (!isBusy(error)) throw error;
      if (attempt >= OPEN_ATTEMPTS) throw busyError(file, attempt, error);
    }
    await sleep(OPEN_RETRY_MS);
  }
}

function transaction<T>(connection: Database.Database, work: () => T): T {
  connection.exec('BEGIN IMMEDIATE');
  try {
    const result = work();
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
