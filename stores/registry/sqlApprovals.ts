import { TidemillError } from '../../contracts/errors.js';
import type { ApprovalDecision } from '../../contracts/rollout.js';
import { jsonText } from './jsonText.js';
import type { Fence, Registry, UsedApproval } from './registry.js';
import { appendAudit } from './sqlAudit.js';
import { modelScope, type Row, type Sql, type SqlDatabase } from './sqlDatabase.js';
import { requireOpen } from './sqlRollouts.js';

/** Journal step that a decision ends. */
const STEP = 'approval';

export function approvalMethods(database: SqlDatabase): Pick<Registry, 'consumeApproval' | 'approval'> {
  return {
    consumeApproval: (fence, { jti, usedBy, decision, evidence }) =>
      database.write(modelScope(fence.model), async (sql) => {
        const before = await findApproval(sql, fence.model, fence.token);
        // Its answer was lost on the way; the rollout may have gone on meanwhile.
        if (before?.usedBy === usedBy) return before.decision;
        const used =
          jti === null
            ? null
            : await sql.row(
                'SELECT token FROM approvals WHERE project = ? AND model = ? AND jti = ?',
                sql.project,
                fence.model,
                jti,
              );
        if (used !== null) throw refused(fence, `the token ${jti} has been used for rollout ${String(used['token'])}`);
        await requireOpen(sql, fence);
        if (before !== null) {
          const { approved, by } = before.decision;
          throw refused(fence, `rollout ${fence.token} was ${approved ? 'approved' : 'rejected'} by ${by}`);
        }
        const key = [sql.project, fence.model, fence.token] as const;
        const waiting = await sql.run(
          `UPDATE journal SET result = ?, finished_at = ?
           WHERE project = ? AND model = ? AND token = ? AND step = ? AND finished_at IS NULL`,
          jsonText(decision),
          sql.now,
          ...key,
          STEP,
        );
        if (waiting === 0) throw refused(fence, 'nothing waits for an approval');
        await sql.run(
          `INSERT INTO approvals (project, model, token, jti, used_by, decision, decided_at) VALUES (?, ?, ?, ?, ?, ?, ?)`,
          ...key,
          jti,
          usedBy,
          jsonText(decision),
          sql.now,
        );
        await appendAudit(sql, {
          model: fence.model,
          actor: decision.by,
          action: decision.approved ? 'rollout.approved' : 'rollout.rejected',
          reason: decision.reason,
          before: null,
          after: { ...decision, token: fence.token, jti },
          evidence,
        });
        return decision;
      }),
    approval: (model, token) => database.read((sql) => findApproval(sql, model, token)),
  };
}

async function findApproval(sql: Sql, model: string, token: number): Promise<UsedApproval | null> {
  const row = await sql.row(
    'SELECT * FROM approvals WHERE project = ? AND model = ? AND token = ?',
    sql.project,
    model,
    token,
  );
  return row === null ? null : approvalOf(row);
}

function approvalOf(row: Row): UsedApproval {
  return {
    token: row['token'] as number,
    jti: row['jti'] as string | null,
    usedBy: row['used_by'] as string,
    decision: JSON.parse(row['decision'] as string) as ApprovalDecision,
    decidedAt: row['decided_at'] as number,
  };
}

function refused({ model, token }: Fence, why: string): TidemillError {
  return new TidemillError('APPROVAL_INVALID', `${model}: ${why}`, { model, token });
}
