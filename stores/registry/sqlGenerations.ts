import type { Registry } from './registry.js';
import type { Sql, SqlChange, SqlDatabase } from './sqlDatabase.js';

/**
 * Generations of topologies. Three numbers a topology: the running generation, the one that is replayed beside it, and the
 * greatest that was ever issued. The latter two are rows of their own, under names that no topology has.
 */
export function generationMethods(
  database: SqlDatabase,
): Pick<
  Registry,
  'generation' | 'issueGeneration' | 'nextGeneration' | 'replayGeneration' | 'issueReplay' | 'endReplay'
> {
  const write = <T>(topology: string, work: (sql: SqlChange) => Promise<T>): Promise<T> =>
    database.write(`topology/${topology}`, work);
  return {
    generation: (topology) => database.read(async (sql) => (await numberIn(sql, topology)) ?? 1),
    nextGeneration: (topology) => database.read((sql) => nextIn(sql, topology)),
    replayGeneration: (topology) => database.read((sql) => replayIn(sql, topology)),
    issueGeneration: (topology) => write(topology, (sql) => issue(sql, topology, topology)),
    issueReplay: (topology) =>
      write(
        topology,
        async (sql) => (await replayIn(sql, topology)) ?? (await issue(sql, topology, replayOf(topology))),
      ),
    endReplay: (topology, generation, how) =>
      write(topology, async (sql) => {
        if ((await replayIn(sql, topology)) !== generation) return false;
        if (how === 'adopt') await put(sql, topology, generation);
        await put(sql, replayOf(topology), NONE);
        return true;
      }),
  };
}

const NONE = 0;
const replayOf = (topology: string): string => `${topology}#replay`;
const issuedOf = (topology: string): string => `${topology}#issued`;

async function numberIn(sql: Sql, name: string): Promise<number | null> {
  const row = await sql.row('SELECT generation FROM generations WHERE project = ? AND topology = ?', sql.project, name);
  return row === null ? null : (row['generation'] as number);
}

async function replayIn(sql: Sql, topology: string): Promise<number | null> {
  const found = await numberIn(sql, replayOf(topology));
  return found === NONE ? null : found;
}

async function nextIn(sql: Sql, topology: string): Promise<number> {
  return Math.max((await numberIn(sql, topology)) ?? 1, (await numberIn(sql, issuedOf(topology))) ?? 1) + 1;
}

async function issue(sql: SqlChange, topology: string, name: string): Promise<number> {
  const next = await nextIn(sql, topology);
  await put(sql, issuedOf(topology), next);
  await put(sql, name, next);
  return next;
}

async function put(sql: SqlChange, name: string, generation: number): Promise<void> {
  await sql.run(
    `INSERT INTO generations (project, topology, generation) VALUES (?, ?, ?)
     ON CONFLICT (project, topology) DO UPDATE SET generation = excluded.generation`,
    sql.project,
    name,
    generation,
  );
}
