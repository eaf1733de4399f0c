import type { QueryResult } from 'pg';
import { migrationsFrom, SCHEMA_VERSION, type SchemaDialect } from './sqlMigrations.js';

/** Tidemill's tables stand in a namespace of their own. */
export const NAMESPACE = 'tidemill';

const DIALECT: SchemaDialect = {
  integer: 'BIGINT',
  // Ordered by bytes, whatever the language of the database.
  text: 'TEXT COLLATE "C"',
  id: 'BIGINT GENERATED ALWAYS AS IDENTITY PRIMARY KEY',
  strict: '',
  refuse: (trigger, event, reason) =>
    `CREATE TRIGGER ${trigger} BEFORE ${event.replace('DELETE', 'DELETE OR TRUNCATE')}
      FOR EACH STATEMENT EXECUTE FUNCTION refuse_change('${reason}');`,
};

const FIRST = `
  CREATE TABLE schema_version (version INTEGER NOT NULL);
  INSERT INTO schema_version VALUES (0);
  CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN RAISE EXCEPTION '%', TG_ARGV[0]; END $$;
`;

/** Taken while the schema is made. The number means nothing; no other advisory lock of Tidemill has it. */
const MIGRATION_LOCK = '7463646d696c6c';

/**
 * Applies the steps that the database lacks, in one transaction: of several processes that open it at once one does it,
 * and the others wait and find it done. Whoever runs on a schema of its version needs no right to change it.
 *
 * @param query runs a text of one or several statements on a connection.
 * @throws TidemillError REGISTRY_INCOMPATIBLE where a newer program wrote the schema.
 */
export async function migratePostgres(
  query: (text: string) => Promise<QueryResult<Record<string, unknown>>>,
  place: string,
): Promise<void> {
  const exists = async (what: string): Promise<boolean> =>
    (await query(`SELECT EXISTS (SELECT FROM ${what}) AS found`)).rows[0]?.['found'] === true;
  // Asked of the catalogue's tables: functions like to_regclass answer from a cache, which may be older than the lock.
  const schema = async (): Promise<number | null> =>
    (await exists(`pg_tables WHERE schemaname = '${NAMESPACE}' AND tablename = 'schema_version'`))
      ? ((await query('SELECT version FROM schema_version')).rows[0]?.['version'] as number)
      : null;
  if ((await schema()) === SCHEMA_VERSION) return;
  await query(`BEGIN; SELECT pg_advisory_xact_lock(x'${MIGRATION_LOCK}'::bigint)`);
  const found = await schema();
  const steps = migrationsFrom(found ?? 0, DIALECT, place);
  // Where an administrator has made the namespace, the right to make one is not needed.
  if (!(await exists(`pg_namespace WHERE nspname = '${NAMESPACE}'`))) await query(`CREATE SCHEMA ${NAMESPACE}`);
  if (found === null) await query(FIRST);
  for (const step of steps) await query(step);
  await query(`UPDATE schema_version SET version = ${SCHEMA_VERSION}; COMMIT`);
}
