import { TidemillError } from '../../contracts/errors.js';
import type { Fence, Registry, Rollout } from './registry.js';
import { appendAudit } from './sqlAudit.js';
import { modelScope, type Row, type Sql, type SqlDatabase } from './sqlDatabase.js';

/**
 * The rollout of the fence, which must hold the newest token of its model.
 *
 * @throws TidemillError FENCED, ROLLOUT_NOT_FOUND
 */
export async function requireNewest(sql: Sql, { model, token }: Fence): Promise<Rollout> {
  const newest = await findNewest(sql, model);
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
export async function requireOpen(sql: Sql, fence: Fence): Promise<Rollout> {
  const rollout = await requireNewest(sql, fence);
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
  database: SqlDatabase,
): Pick<Registry, 'openRollout' | 'setPhase' | 'closeRollout' | 'rollout' | 'newestRollout' | 'rollouts'> {
  return {
    openRollout: (model, holder, trigger) =>
      database.write(modelScope(model), async (sql) => {
        const before = await findNewest(sql, model);
        // The same holder asking again, after its answer was lost, gets the rollout that it has.
        if (before !== null && before.holder === holder && before.closedAt === null) return before;
        const token = (before?.token ?? 0) + 1;
        // At most one rollout of a model is open; who held it learns by FENCED, who recovers it by its journal.
        await sql.run(
          `UPDATE rollouts SET closed_at = ?, outcome = 'superseded' WHERE project = ? AND model = ? AND closed_at IS NULL`,
          sql.now,
          sql.project,
          model,
        );
        await sql.run(
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
        await appendAudit(sql, {
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
      database.write(modelScope(fence.model), async (sql) => {
        await requireOpen(sql, fence);
        await sql.run(
          'UPDATE rollouts SET phase = ? WHERE project = ? AND model = ? AND token = ?',
          phase,
          sql.project,
          fence.model,
          fence.token,
        );
      }),
    closeRollout: (fence, outcome) =>
      database.write(modelScope(fence.model), async (sql) => {
        const rollout = await findRollout(sql, fence.model, fence.token);
        // Closed already, by a lost attempt or by a newer rollout: there is nothing left to change.
        if (rollout !== null && rollout.closedAt !== null) return;
        await requireOpen(sql, fence);
        if (rollout === null) return;
        await sql.run(
          'UPDATE rollouts SET closed_at = ?, outcome = ? WHERE project = ? AND model = ? AND token = ?',
          sql.now,
          outcome,
          sql.project,
          fence.model,
          fence.token,
        );
        await appendAudit(sql, {
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
    newestRollout: (model) => database.read((sql) => findNewest(sql, model)),
    rollouts: (model) =>
      database.read(async (sql) => {
        const rows = await sql.rows(
          'SELECT * FROM rollouts WHERE project = ? AND model = ? ORDER BY token DESC',
          sql.project,
          model,
        );
        return rows.map(rolloutOf);
      }),
  };
}

async function findRollout(sql: Sql, model: string, token: number): Promise<Rollout | null> {
  const row = await sql.row(
    'SELECT * FROM rollouts WHERE project = ? AND model = ? AND token = ?',
    sql.project,
    model,
    token,
  );
  return row === null ? null : rolloutOf(row);
}

async function findNewest(sql: Sql, model: string): Promise<Rollout | null> {
  const row = await sql.row(
    'SELECT * FROM rollouts WHERE project = ? AND model = ? ORDER BY token DESC LIMIT 1',
    sql.project,
    model,
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
