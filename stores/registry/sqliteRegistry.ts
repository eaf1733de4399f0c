import type { Registry } from './registry.js';
import { openSqliteDatabase } from './sqliteDatabase.js';
import { registryOn } from './sqlRegistry.js';

export interface SqliteRegistryOptions {
  /** Path of the database file; it and its folder are created where they are missing. */
  readonly file: string;
  /** Wall clock, ms. @default Date.now */
  readonly clock?: () => number;
  /** Scopes every row: two projects may share a file. @default 'default' */
  readonly project?: string;
  /** How long one attempt blocks the thread for another writer, ms. @default 100 */
  readonly busyTimeoutMs?: number;
  /** Attempts before REGISTRY_BUSY; between them the thread is free. @default 60: about 15 s */
  readonly busyAttempts?: number;
}

/**
 * The registry in one SQLite file, shared by the processes of one machine.
 *
 * @throws TidemillError REGISTRY_INCOMPATIBLE where a newer program wrote the file, REGISTRY_BUSY
 */
export async function openSqliteRegistry(options: SqliteRegistryOptions): Promise<Registry> {
  const database = await openSqliteDatabase({
    file: options.file,
    project: options.project ?? 'default',
    clock: options.clock ?? Date.now,
    busyTimeoutMs: options.busyTimeoutMs ?? 100,
    busyAttempts: options.busyAttempts ?? 60,
  });
  return registryOn(database);
}
