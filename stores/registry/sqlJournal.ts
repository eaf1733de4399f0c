import { TidemillError } from '../../contracts/errors.js';
import { jsonText } from './jsonText.js';
import type { JournalEntry, Registry } from './registry.js';
import { modelScope, type SqlDatabase } from './sqlDatabase.js';
import { requireOpen } from './sqlRollouts.js';

export function journalMethods(
  database: SqlDatabase,
): Pick<Registry, 'journalIntent' | 'journalResult' | 'journal' | 'storeEvidence' | 'evidence'> {
  return {
    journalIntent: (fence, step, intent) =>
      database.write(modelScope(fence.model), async (sql) => {
        await requireOpen(sql, fence);
        // The first intent stands: an attempt that repeats the step must find what the first one was about to do.
        await sql.run(
          `INSERT INTO journal (project, model, token, step, intent, started_at) VALUES (?, ?, ?, ?, ?, ?)
           ON CONFLICT (project, model, token, step) DO NOTHING`,
          sql.project,
          fence.model,
          fence.token,
          step,
          jsonText(intent),
          sql.now,
        );
      }),
    journalResult: (fence, step, result) =>
      database.write(modelScope(fence.model), async (sql) => {
        await requireOpen(sql, fence);
        const key = [sql.project, fence.model, fence.token, step] as const;
        const entry = await sql.row(
          'SELECT finished_at FROM journal WHERE project = ? AND model = ? AND token = ? AND step = ?',
          ...key,
        );
        if (entry === null) {
          throw new TidemillError(
            'JOURNAL_INTENT_MISSING',
            `rollout ${fence.token} of ${fence.model} has a result of ${step}, but never wrote what it intended`,
            { ...fence, step },
          );
        }
        if (entry['finished_at'] !== null) return;
        await sql.run(
          'UPDATE journal SET result = ?, finished_at = ? WHERE project = ? AND model = ? AND token = ? AND step = ?',
          jsonText(result),
          sql.now,
          ...key,
        );
      }),
    journal: (model, token) =>
      database.read(async (sql) =>
        (
          await sql.rows(
            'SELECT * FROM journal WHERE project = ? AND model = ? AND token = ? ORDER BY id',
            sql.project,
            model,
            token,
          )
        ).map((row): JournalEntry => ({
          step: row['step'] as string,
          intent: JSON.parse(row['intent'] as string) as unknown,
          result: row['result'] === null ? null : (JSON.parse(row['result'] as string) as unknown),
          startedAt: row['started_at'] as number,
          finishedAt: row['finished_at'] as number | null,
        })),
      ),
    storeEvidence: (fence, version, gate, evidence) =>
      database.write(modelScope(fence.model), async (sql) => {
        await requireOpen(sql, fence);
        const text = jsonText(evidence);
        // The same evidence again is a repeated attempt, or gets the version that there is now; other evidence of the gate
        // is a later look and is kept beside it.
        const known = await sql.row(
          `SELECT id, version FROM evidence
           WHERE project = ? AND model = ? AND token = ? AND gate = ? AND evidence = ?
             AND (version IS NOT DISTINCT FROM ? OR version IS NULL)
           ORDER BY version DESC NULLS LAST LIMIT 1`,
          sql.project,
          fence.model,
          fence.token,
          gate,
          text,
          version,
        );
        if (known !== null) {
          await sql.run('UPDATE evidence SET version = ? WHERE id = ?', version, known['id'] as number);
          return;
        }
        await sql.run(
          `INSERT INTO evidence (project, model, token, version, gate, evidence, stored_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
          sql.project,
          fence.model,
          fence.token,
          version,
          gate,
          text,
          sql.now,
        );
      }),
    evidence: (model, token) =>
      database.read(async (sql) =>
        (
          await sql.rows(
            'SELECT * FROM evidence WHERE project = ? AND model = ? AND token = ? ORDER BY id',
            sql.project,
            model,
            token,
          )
        ).map((row) => ({
          gate: row['gate'] as string,
          version: row['version'] as number | null,
          evidence: JSON.parse(row['evidence'] as string) as unknown,
        })),
      ),
  };
}
