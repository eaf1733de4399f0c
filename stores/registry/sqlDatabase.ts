export type SqlValue = string | number | null;
export type Row = Readonly<Record<string, unknown>>;

/**
 * What reading may do. The texts are those that SQLite and PostgreSQL understand alike; `?` stands for a value and for
 * nothing else. Integers come back as numbers, up to 2^53 - 1.
 */
export interface Sql {
  /** Project whose rows are seen. */
  readonly project: string;
  rows(text: string, ...values: readonly SqlValue[]): Promise<readonly Row[]>;
  /** The first row, or null. */
  row(text: string, ...values: readonly SqlValue[]): Promise<Row | null>;
}

/** What a transaction may do. It awaits nothing but its own statements: whoever waits for its scope waits for it. */
export interface SqlChange extends Sql {
  /** The clock once the transaction had its scope, ms. */
  readonly now: number;
  /** Number of rows changed. */
  run(text: string, ...values: readonly SqlValue[]): Promise<number>;
}

/** What the registry needs of a database: one set of methods runs on every one that has it. */
export interface SqlDatabase {
  /**
   * One transaction, made whole or not at all. No other transaction of this scope runs meanwhile, in whatever process,
   * and it sees everything that the earlier ones of its scope have committed: what it reads of its scope stays true
   * until it commits. `work` may run several times: it has no effects but its statements.
   *
   * @throws TidemillError REGISTRY_BUSY, REGISTRY_UNAVAILABLE
   */
  write<T>(scope: string, work: (sql: SqlChange) => Promise<T>): Promise<T>;
  /**
   * Statements outside of a transaction: each sees one state.
   *
   * @throws TidemillError REGISTRY_BUSY, REGISTRY_UNAVAILABLE
   */
  read<T>(work: (sql: Sql) => Promise<T>): Promise<T>;
  /** The clock by which leases end, ms. */
  now(): Promise<number>;
  close(): Promise<void>;
}

/** Scope of everything that one model's rollouts, versions, deployments and audit consist of. */
export function modelScope(model: string): string {
  return `model/${model}`;
}
