import { auditInWords, CONSISTENCY_AUDITED } from '../../contracts/consistency.js';
import { canonicalJson } from '../../features/hash.js';
import { auditHash, GENESIS_HASH } from './auditChain.js';
import type { AuditRow, Registry } from './registry.js';
import { modelScope, type SqlChange, type SqlDatabase } from './sqlDatabase.js';

export type AuditEntry = Pick<AuditRow, 'model' | 'actor' | 'action' | 'reason' | 'before' | 'after' | 'evidence'>;

/** Adds a row to the chain of the entry's model, within the transaction of the change that it tells of. */
export async function appendAudit(sql: SqlChange, entry: AuditEntry): Promise<void> {
  const last = await sql.row(
    'SELECT sequence, hash FROM audit WHERE project = ? AND model = ? ORDER BY sequence DESC LIMIT 1',
    sql.project,
    entry.model,
  );
  const row: Omit<AuditRow, 'hash'> = {
    sequence: last === null ? 1 : (last['sequence'] as number) + 1,
    model: entry.model,
    at: sql.now,
    actor: entry.actor,
    action: entry.action,
    reason: entry.reason,
    before: asJsonKeepsIt(entry.before),
    after: asJsonKeepsIt(entry.after),
    evidence: asJsonKeepsIt(entry.evidence),
    previousHash: last === null ? GENESIS_HASH : (last['hash'] as string),
  };
  await sql.run(
    'INSERT INTO audit (project, model, sequence, row, hash) VALUES (?, ?, ?, ?, ?)',
    sql.project,
    row.model,
    row.sequence,
    canonicalJson(row),
    auditHash(row),
  );
}

/** Rows in which an attempt before would have noted the same. */
const RECENT_ROWS = 50;

export function auditMethods(database: SqlDatabase): Pick<Registry, 'auditRows' | 'noteConsistency'> {
  return {
    noteConsistency: (model, actor, result) =>
      database.write(modelScope(model), async (sql) => {
        const recent = await sql.rows(
          'SELECT row FROM audit WHERE project = ? AND model = ? ORDER BY sequence DESC LIMIT ?',
          sql.project,
          model,
          RECENT_ROWS,
        );
        const isNoted = recent.some(({ row }) => {
          const noted = JSON.parse(row as string) as AuditRow;
          return noted.action === CONSISTENCY_AUDITED && noted.actor === actor;
        });
        if (isNoted) return;
        await appendAudit(sql, {
          model,
          actor,
          action: CONSISTENCY_AUDITED,
          reason: auditInWords(result),
          before: null,
          after: result,
          evidence: result.outcome === 'inconclusive' ? null : result.report,
        });
      }),
    auditRows: (model) =>
      database.read(async (sql) =>
        (
          await sql.rows(
            'SELECT row, hash FROM audit WHERE project = ? AND model = ? ORDER BY sequence',
            sql.project,
            model,
          )
        ).map(({ row, hash }) => ({
          ...(JSON.parse(row as string) as Omit<AuditRow, 'hash'>),
          hash: hash as string,
        })),
      ),
  };
}

/** A value as it comes back from JSON: hashing what is read must give the hash of what was written. */
function asJsonKeepsIt(value: unknown): unknown {
  return value === undefined ? null : (JSON.parse(JSON.stringify(value)) as unknown);
}
