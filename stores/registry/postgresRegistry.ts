import { openPostgresDatabase } from './postgresDatabase.js';
import type { Registry } from './registry.js';
import { registryOn } from './sqlRegistry.js';

export interface PostgresRegistryOptions {
  /**
   * `postgres://USER:PASSWORD@HOST:PORT/DATABASE?sslmode=verify-full`. Without a password, PGPASSWORD or the user's
   * `~/.pgpass` gives it.
   */
  readonly url: string;
  /**
   * Wall clock, ms. @default the server's: leases then end at the same time on all machines, however their clocks differ
   */
  readonly clock?: () => number;
  /** Scopes every row: projects may share a database. @default 'default' */
  readonly project?: string;
  /** How long a change waits for others before REGISTRY_BUSY, ms. @default 15_000 */
  readonly busyTimeoutMs?: number;
  /** How long a server that went away is sought before REGISTRY_UNAVAILABLE, ms. @default 5_000 */
  readonly reconnectTimeoutMs?: number;
  /** Connections of this process at most; they are opened as they are needed. @default 5 */
  readonly maxConnections?: number;
}

/** Below the 15 s for which others wait: they get their turn before they give up. */
const SILENCE_TIMEOUT_MS = 10_000;

/**
 * The registry in a PostgreSQL database, shared by the processes of a cluster.
 *
 * @throws TidemillError REGISTRY_INCOMPATIBLE where a newer program made the schema, REGISTRY_UNAVAILABLE, REGISTRY_BUSY
 */
export async function openPostgresRegistry(options: PostgresRegistryOptions): Promise<Registry> {
  const database = await openPostgresDatabase({
    url: options.url,
    project: options.project ?? 'default',
    clock: options.clock ?? null,
    busyTimeoutMs: options.busyTimeoutMs ?? 15_000,
    reconnectTimeoutMs: options.reconnectTimeoutMs ?? 5_000,
    maxConnections: options.maxConnections ?? 5,
    silenceTimeoutMs: SILENCE_TIMEOUT_MS,
  });
  return registryOn(database);
}
