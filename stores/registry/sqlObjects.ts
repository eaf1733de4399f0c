import type { ModelVersion, Registry, RolloutObjects } from './registry.js';
import type { Row, SqlDatabase } from './sqlDatabase.js';

/** Addresses in JSON text, whatever they are members of. */
const ADDRESS = /objects:\/\/[^"\\\s]+/g;

export function objectMethods(database: SqlDatabase): Pick<Registry, 'rolloutObjects'> {
  return {
    rolloutObjects: () =>
      database.read(async (sql) => {
        // Rollouts first: one that is open here is so for whoever asks, though it may have closed when its rows are read.
        const rollouts = await sql.rows(
          'SELECT project, model, token, opened_at, closed_at FROM rollouts ORDER BY project, model, token',
        );
        const journal = grouped(
          await sql.rows('SELECT project, model, token, intent, result FROM journal ORDER BY id'),
        );
        const versions = grouped(
          await sql.rows('SELECT project, model, token, version, status, draft FROM versions ORDER BY version'),
        );
        return rollouts.map((row): RolloutObjects => ({
          project: row['project'] as string,
          model: row['model'] as string,
          token: row['token'] as number,
          openedAt: row['opened_at'] as number,
          isOpen: row['closed_at'] === null,
          journal: (journal.get(keyOf(row)) ?? []).flatMap(({ intent, result }) => [
            ...addressesIn(intent),
            ...addressesIn(result),
          ]),
          versions: (versions.get(keyOf(row)) ?? []).map(({ version, status, draft }) => ({
            version: version as number,
            status: status as ModelVersion['status'],
            uris: addressesIn(draft),
          })),
        }));
      }),
  };
}

function addressesIn(text: unknown): readonly string[] {
  return typeof text === 'string' ? (text.match(ADDRESS) ?? []) : [];
}

function grouped(rows: readonly Row[]): ReadonlyMap<string, readonly Row[]> {
  const groups = new Map<string, Row[]>();
  for (const row of rows) {
    const group = groups.get(keyOf(row));
    if (group === undefined) groups.set(keyOf(row), [row]);
    else group.push(row);
  }
  return groups;
}

function keyOf(row: Row): string {
  return JSON.stringify([row['project'], row['model'], row['token']]);
}
