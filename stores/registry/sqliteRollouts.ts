import { TidemillError } from '../../contracts/errors.js';
import type { Fence, JournalEntry, Registry, Rollout } from './registry.js';
import { appendAudit } from './sqliteAudit.js';
import type { Row, Sql, SqliteDatabase } from './sqliteDatabase.js';
import { jsonText } from './jsonText.js';

/**
 * The rollout of the fence, which must hold the newest token of its model.
 *
 * @throws TidemillError FENCED, ROLLOUT_NOT_FOUND
 */
export function requireNewest(sql: Sql, { model, token }: Fence): Rollout {
  const row = sql.row(
    'SELECT * FROM rollouts WHERE project = ? AND model = ? ORDER BY token DESC LIMIT 1',
    sql.project,
    model,
  );
  const newest = row === null ? null : rolloutOf(row);
  if (newest === null || token > newest.token || !Number.isSafeInteger(token) || token < 1) {
    throw new TidemillError('ROLLOUT_NOT_FOUND', `${model} has no rollout ${token}`, { model, token });
  }
  if (token < newest.token) {
    throw new TidemillError('FENCED', `rollout ${token} of ${model} was fenced by rollout ${newest.token}`, {
      model,
      token,
      newest: newest.token,
      holder: newest.holder,
    });
  }
  return newest;
}

/** Like requireNewest; the rollout must also be open: a late attempt of a step has no effect once the rollout ended. */
export function requireOpen(sql: Sql, fence: Fence): Rollout {
  const rollout = requireNewest(sql, fence);
  if (rollout.closedAt !== null) {
    throw new TidemillError(
      'FENCED',
      `rollout ${fence.token} of ${fence.model} is closed: ${rollout.outcome ?? 'without outcome'}`,
      { model: fence.model, token: fence.token, outcome: rollout.outcome },
    );
  }
  return rollout;
}

export function rolloutMethods(
  database: SqliteDatabase,
): Pick<Registry, 'openRollout' | 'setPhase' | 'closeRollout' | 'rollout' | 'rollouts'> {
  return {
    openRollout: (model, holder, trigger) =>
      database.write((sql) => {
        const last = sql.row(
          'SELECT * FROM rollouts WHERE project = ? AND model = ? ORDER BY token DESC LIMIT 1',
          sql.project,
          model,
        );
        const before = last === null ? null : rolloutOf(last);
        // The same holder asking again, after its answer was lost, gets the rollout that it has.
        if (before !== null && before.holder === holder && before.closedAt === null) return before;
        const token = (before?.token ?? 0) + 1;
        // At most one rollout of a model is open; who held it learns by FENCED, who recovers it by its journal.
        sql.run(
          `UPDATE rollouts SET closed_at = ?, outcome = 'superseded' WHERE project = ? AND model = ? AND closed_at IS NULL`,
          sql.now,
          sql.project,
          model,
        );
        sql.run(
          `INSERT INTO rollouts (project, model, token, holder, trigger, phase, opened_at) VALUES (?, ?, ?, ?, ?, 'opened', ?)`,
          sql.project,
          model,
          token,
          holder,
          trigger,
          sql.now,
        );
        const rollout: Rollout = {
          model,
          token,
          holder,
          trigger,
          phase: 'opened',
          openedAt: sql.now,
          closedAt: null,
          outcome: null,
        };
        const superseded = before?.closedAt === null ? before : null;
        appendAudit(sql, {
          model,
          actor: holder,
          action: 'rollout.opened',
          reason: trigger,
          before: superseded,
          after: rollout,
          evidence: null,
        });
        return rollout;
      }),
    setPhase: (fence, phase) =>
      database.write((sql) => {
        requireOpen(sql, fence);
        sql.run(
          'UPDATE rollouts SET phase = ? WHERE project = ? AND model = ? AND token = ?',
          phase,
          sql.project,
          fence.model,
          fence.token,
        );
      }),
    closeRollout: (fence, outcome) =>
      database.write((sql) => {
        const rollout = findRollout(sql, fence.model, fence.token);
        // Closed already, by a lost attempt or by a newer rollout: there is nothing left to change.
        if (rollout !== null && rollout.closedAt !== null) return;
        requireOpen(sql, fence);
        if (rollout === null) return;
        sql.run(
          'UPDATE rollouts SET closed_at = ?, outcome = ? WHERE project = ? AND model = ? AND token = ?',
          sql.now,
          outcome,
          sql.project,
          fence.model,
          fence.token,
        );
        appendAudit(sql, {
          model: fence.model,
          actor: rollout.holder,
          action: 'rollout.closed',
          reason: outcome,
          before: rollout,
          after: { ...rollout, closedAt: sql.now, outcome },
          evidence: null,
        });
      }),
    rollout: (model, token) => database.read((sql) => findRollout(sql, model, token)),
    rollouts: (model) =>
      database.read((sql) =>
        sql
          .rows('SELECT * FROM rollouts WHERE project = ? AND model = ? ORDER BY token DESC', sql.project, model)
          .map(rolloutOf),
      ),
  };
}

export function journalMethods(
  database: SqliteDatabase,
): Pick<Registry, 'journalIntent' | 'journalResult' | 'journal' | 'storeEvidence' | 'evidence'> {
  return {
    journalIntent: (fence, step, intent) =>
      database.write((sql) => {
        requireOpen(sql, fence);
        // The first intent stands: an attempt that repeats the step must find what the first one was about to do.
        sql.run(
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
      database.write((sql) => {
        requireOpen(sql, fence);
        const key = [sql.project, fence.model, fence.token, step] as const;
        const entry = sql.row(
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
        sql.run(
          'UPDATE journal SET result = ?, finished_at = ? WHERE project = ? AND model = ? AND token = ? AND step = ?',
          jsonText(result),
          sql.now,
          ...key,
        );
      }),
    journal: (model, token) =>
      database.read((sql) =>
        sql
          .rows(
            'SELECT * FROM journal WHERE project = ? AND model = ? AND token = ? ORDER BY id',
            sql.project,
            model,
            token,
          )
          .map((row): JournalEntry => ({
            step: row['step'] as string,
            intent: JSON.parse(row['intent'] as string) as unknown,
            result: row['result'] === null ? null : (JSON.parse(row['result'] as string) as unknown),
            startedAt: row['started_at'] as number,
            finishedAt: row['finished_at'] as number | null,
          })),
      ),
    storeEvidence: (fence, version, gate, evidence) =>
      database.write((sql) => {
        requireOpen(sql, fence);
        const text = jsonText(evidence);
        // The same evidence again is a repeated attempt, or gets the version that there is now; other evidence of the gate
        // is a later look and is kept beside it.
        const known = sql.row(
          `SELECT id, version FROM evidence
           WHERE project = ? AND model = ? AND token = ? AND gate = ? AND evidence = ? AND (version IS ? OR version IS NULL)
           ORDER BY version DESC LIMIT 1`,
          sql.project,
          fence.model,
          fence.token,
          gate,
          text,
          version,
        );
        if (known !== null) {
          sql.run('UPDATE evidence SET version = ? WHERE id = ?', version, known['id'] as number);
          return;
        }
        sql.run(
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
      database.read((sql) =>
        sql
          .rows(
            'SELECT * FROM evidence WHERE project = ? AND model = ? AND token = ? ORDER BY id',
            sql.project,
            model,
            token,
          )
          .map((row) => ({
            gate: row['gate'] as string,
            version: row['version'] as number | null,
            evidence: JSON.parse(row['evidence'] as string) as unknown,
          })),
      ),
  };
}

function findRollout(sql: Sql, model: string, token: number): Rollout | null {
  const row = sql.row(
    'SELECT * FROM rollouts WHERE project = ? AND model = ? AND token = ?',
    sql.project,
    model,
    token,
  );
  return row === null ? null : rolloutOf(row);
}

function rolloutOf(row: Row): Rollout {
  return {
    model: row['model'] as string,
    token: row['token'] as number,
    holder: row['holder'] as string,
    trigger: row['trigger'] as string,
    phase: row['phase'] as string,
    openedAt: row['opened_at'] as number,
    closedAt: row['closed_at'] as number | null,
    outcome: row['outcome'] as string | null,
  };
}
