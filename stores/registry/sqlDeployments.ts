import { TidemillError } from '../../contracts/errors.js';
import type { DeploymentRecord } from '../../contracts/records.js';
import type { DeploymentChange, Registry } from './registry.js';
import { appendAudit } from './sqlAudit.js';
import { modelScope, type Sql, type SqlChange, type SqlDatabase } from './sqlDatabase.js';
import { requireNewest, requireOpen } from './sqlRollouts.js';
import { requireVersion } from './sqlVersions.js';
import { jsonText } from './jsonText.js';

export function deploymentMethods(
  database: SqlDatabase,
): Pick<Registry, 'deployment' | 'changeDeployment' | 'championHistory' | 'pendingOutbox' | 'markPublished'> {
  return {
    deployment: (model) => database.read((sql) => head(sql, model)),
    changeDeployment: (change) => database.write(modelScope(change.fence.model), (sql) => changeHead(sql, change)),
    championHistory: (model) =>
      database.read(async (sql) => {
        // One row per former champion: its newest promotion.
        const rows = await sql.rows(
          `SELECT champion, epoch, changed_at FROM deployments AS promotion
           WHERE project = ? AND model = ? AND promoted = 1 AND champion IS NOT NULL
             AND epoch = (SELECT max(epoch) FROM deployments
                          WHERE project = promotion.project AND model = promotion.model
                            AND champion = promotion.champion AND promoted = 1)
             AND champion IS DISTINCT FROM (SELECT champion FROM deployments
                                            WHERE project = promotion.project AND model = promotion.model
                                            ORDER BY epoch DESC LIMIT 1)
           ORDER BY epoch DESC`,
          sql.project,
          model,
        );
        return rows.map((row) => ({
          version: row['champion'] as number,
          epoch: row['epoch'] as number,
          at: row['changed_at'] as number,
        }));
      }),
    pendingOutbox: (limit) =>
      database.read(async (sql) => {
        const rows = await sql.rows(
          'SELECT id, model, record FROM outbox WHERE project = ? AND published_at IS NULL ORDER BY id LIMIT ?',
          sql.project,
          limit,
        );
        return rows.map((row) => ({
          id: row['id'] as number,
          model: row['model'] as string,
          deployment: JSON.parse(row['record'] as string) as DeploymentRecord,
        }));
      }),
    markPublished: (ids) =>
      database.write('outbox', async (sql) => {
        for (const id of ids) {
          await sql.run(
            'UPDATE outbox SET published_at = ? WHERE project = ? AND id = ? AND published_at IS NULL',
            sql.now,
            sql.project,
            id,
          );
        }
      }),
  };
}

async function head(sql: Sql, model: string): Promise<DeploymentRecord | null> {
  const row = await sql.row(
    'SELECT record FROM deployments WHERE project = ? AND model = ? ORDER BY epoch DESC LIMIT 1',
    sql.project,
    model,
  );
  return row === null ? null : (JSON.parse(row['record'] as string) as DeploymentRecord);
}

/**
 * One change of the head, all in the caller's transaction, which has the model's scope:
 *
 * 1. the fence holds the newest token;
 * 2. a step that this rollout has already taken is answered with the head as it is;
 * 3. the rollout is open;
 * 4. the head has the expected epoch;
 * 5. versions that the change puts to use exist and may be served;
 * 6. the new head, its audit row and its outbox row are written.
 */
async function changeHead(sql: SqlChange, change: DeploymentChange): Promise<DeploymentRecord> {
  const { fence, step, expectEpoch, next } = change;
  const { model, token } = fence;
  // 1
  await requireNewest(sql, fence);
  const before = await head(sql, model);
  // 2
  const taken = await sql.row(
    'SELECT epoch FROM deployments WHERE project = ? AND model = ? AND token = ? AND step = ?',
    sql.project,
    model,
    token,
    step,
  );
  if (taken !== null && before !== null) return before;
  // 3
  await requireOpen(sql, fence);
  // 4
  const epoch = before?.epoch ?? 0;
  if (epoch !== expectEpoch) {
    throw new TidemillError('EPOCH_STALE', `${model} is at epoch ${epoch}, not ${expectEpoch}`, {
      model,
      expected: expectEpoch,
      epoch,
      step,
    });
  }
  // 5
  for (const role of ['champion', 'challenger', 'prepare', 'standIn'] as const) {
    const version = next[role] ?? null;
    if (version !== null && version !== before?.[role]) await requireServable(sql, model, version, role);
  }
  // 6
  const record: DeploymentRecord = {
    model,
    epoch: epoch + 1,
    mode: next.mode,
    champion: next.champion,
    challenger: next.challenger,
    share: next.share,
    salt: next.salt,
    prepare: next.prepare,
    ...(next.standIn === undefined ? {} : { standIn: next.standIn }),
  };
  const text = jsonText(record);
  const promoted = record.champion !== (before?.champion ?? null) ? 1 : 0;
  await sql.run(
    `INSERT INTO deployments (project, model, epoch, token, step, record, champion, promoted, changed_at)
     VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    sql.project,
    model,
    record.epoch,
    token,
    step,
    text,
    record.champion,
    promoted,
    sql.now,
  );
  await appendAudit(sql, {
    model,
    actor: change.actor,
    action: `deployment.${step}`,
    reason: change.reason,
    before,
    after: record,
    evidence: change.evidence,
  });
  await sql.run('INSERT INTO outbox (project, model, record) VALUES (?, ?, ?)', sql.project, model, text);
  return record;
}

async function requireServable(sql: Sql, model: string, version: number, role: string): Promise<void> {
  const { status, reason } = await requireVersion(sql, model, version);
  if (status === 'registered') return;
  throw new TidemillError(
    'VERSION_WITHDRAWN',
    `version ${version} of ${model} is ${status} (${reason ?? 'no reason'}): it cannot become ${role}`,
    { model, version, status, role },
  );
}
