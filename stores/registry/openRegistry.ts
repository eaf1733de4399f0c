import type { Configuration } from '../../contracts/configuration.js';
import { openPostgresRegistry } from './postgresRegistry.js';
import type { Registry } from './registry.js';
import { openSqliteRegistry } from './sqliteRegistry.js';

/**
 * The registry of a project, where the configuration says that it is.
 *
 * @throws TidemillError REGISTRY_INCOMPATIBLE, REGISTRY_BUSY, REGISTRY_UNAVAILABLE
 */
export async function openRegistry({
  registry,
  project,
}: Pick<Configuration, 'registry' | 'project'>): Promise<Registry> {
  switch (registry.kind) {
    case 'sqlite':
      return openSqliteRegistry({ file: registry.file, project });
    case 'postgres':
      return openPostgresRegistry({ url: registry.url, project });
  }
}
