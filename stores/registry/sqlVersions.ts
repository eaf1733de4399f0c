import { TidemillError } from '../../contracts/errors.js';
import type { Fence, ModelVersion, Registry, VersionDraft } from './registry.js';
import { appendAudit } from './sqlAudit.js';
import { modelScope, type Row, type Sql, type SqlChange, type SqlDatabase } from './sqlDatabase.js';
import { requireNewest, requireOpen } from './sqlRollouts.js';
import { jsonText } from './jsonText.js';

export function versionMethods(
  database: SqlDatabase,
): Pick<
  Registry,
  'registerVersion' | 'version' | 'versions' | 'versionsReading' | 'rejectVersion' | 'withdrawVersion'
> {
  return {
    registerVersion: (draft, fence) => database.write(modelScope(fence.model), (sql) => register(sql, draft, fence)),
    version: (model, version) => database.read((sql) => findVersion(sql, model, version)),
    versions: (model) =>
      database.read(async (sql) => {
        const rows = await sql.rows(
          'SELECT * FROM versions WHERE project = ? AND model = ? ORDER BY version',
          sql.project,
          model,
        );
        return rows.map(versionOf);
      }),
    versionsReading: (view) =>
      database.read(async (sql) => {
        const rows = await sql.rows(
          `SELECT read.model, read.version, read.hash, versions.status FROM version_views AS read
           JOIN versions ON versions.project = read.project AND versions.model = read.model
             AND versions.version = read.version
           WHERE read.project = ? AND read.view = ? ORDER BY read.model, read.version`,
          sql.project,
          view,
        );
        return rows.map((row) => ({
          model: row['model'] as string,
          version: row['version'] as number,
          status: row['status'] as ModelVersion['status'],
          hash: row['hash'] as string,
        }));
      }),
    rejectVersion: (model, version, reason, fence) =>
      database.write(modelScope(fence.model), (sql) =>
        mark(sql, { model, version, reason, fence, status: 'rejected' }),
      ),
    withdrawVersion: (model, version, reason, fence) =>
      database.write(modelScope(fence.model), (sql) =>
        mark(sql, { model, version, reason, fence, status: 'withdrawn' }),
      ),
  };
}

export async function findVersion(sql: Sql, model: string, version: number): Promise<ModelVersion | null> {
  const row = await sql.row(
    'SELECT * FROM versions WHERE project = ? AND model = ? AND version = ?',
    sql.project,
    model,
    version,
  );
  return row === null ? null : versionOf(row);
}

/** @throws TidemillError VERSION_NOT_FOUND */
export async function requireVersion(sql: Sql, model: string, version: number): Promise<ModelVersion> {
  const found = await findVersion(sql, model, version);
  if (found !== null) return found;
  throw new TidemillError('VERSION_NOT_FOUND', `${model} has no version ${version}`, { model, version });
}

/** Champion of the newest deployment, or null. */
async function championOf(sql: Sql, model: string): Promise<number | null> {
  const row = await sql.row(
    'SELECT champion FROM deployments WHERE project = ? AND model = ? ORDER BY epoch DESC LIMIT 1',
    sql.project,
    model,
  );
  return row === null ? null : (row['champion'] as number | null);
}

async function register(sql: SqlChange, draft: VersionDraft, fence: Fence): Promise<ModelVersion> {
  requireSameModel(draft.model, fence);
  const rollout = await requireNewest(sql, fence);
  const { sha256 } = draft.artifact;
  const known = await sql.row(
    'SELECT * FROM versions WHERE project = ? AND model = ? AND token = ? AND sha256 = ?',
    sql.project,
    draft.model,
    fence.token,
    sha256,
  );
  if (known !== null) return versionOf(known);
  await requireOpen(sql, fence);
  const withdrawn = await sql.row(
    `SELECT version, reason FROM versions WHERE project = ? AND model = ? AND sha256 = ? AND status = 'withdrawn' LIMIT 1`,
    sql.project,
    draft.model,
    sha256,
  );
  if (withdrawn !== null) {
    throw new TidemillError(
      'VERSION_WITHDRAWN',
      `the artifact ${sha256} of ${draft.model} was withdrawn as version ${String(withdrawn['version'])}: ${String(withdrawn['reason'])}`,
      { model: draft.model, sha256, version: withdrawn['version'] },
    );
  }
  const newest = await sql.row(
    'SELECT max(version) AS version FROM versions WHERE project = ? AND model = ?',
    sql.project,
    draft.model,
  );
  const version = ((newest?.['version'] as number | null | undefined) ?? 0) + 1;
  await sql.run(
    `INSERT INTO versions (project, model, version, token, sha256, draft, status, created_at)
     VALUES (?, ?, ?, ?, ?, ?, 'registered', ?)`,
    sql.project,
    draft.model,
    version,
    fence.token,
    sha256,
    jsonText(draft),
    sql.now,
  );
  for (const [view, hash] of Object.entries(draft.lineage.views ?? {})) {
    await sql.run(
      'INSERT INTO version_views (project, view, model, version, hash) VALUES (?, ?, ?, ?, ?)',
      sql.project,
      view,
      draft.model,
      version,
      hash,
    );
  }
  const registered = await requireVersion(sql, draft.model, version);
  await appendAudit(sql, {
    model: draft.model,
    actor: rollout.holder,
    action: 'version.registered',
    reason: draft.trigger,
    before: null,
    after: { version, sha256, token: fence.token },
    evidence: { metrics: draft.metrics },
  });
  return registered;
}

interface Mark {
  readonly model: string;
  readonly version: number;
  readonly status: 'rejected' | 'withdrawn';
  readonly reason: string;
  readonly fence: Fence;
}

async function mark(sql: SqlChange, { model, version, status, reason, fence }: Mark): Promise<ModelVersion> {
  requireSameModel(model, fence);
  const rollout = await requireNewest(sql, fence);
  const before = await requireVersion(sql, model, version);
  if (before.status === status) return before;
  await requireOpen(sql, fence);
  if ((await championOf(sql, model)) === version) {
    throw new TidemillError(
      'VERSION_IN_USE',
      `version ${version} of ${model} is the champion: it cannot be ${status}`,
      {
        model,
        version,
        status,
      },
    );
  }
  if (before.status === 'withdrawn') {
    throw new TidemillError(
      'VERSION_WITHDRAWN',
      `version ${version} of ${model} is withdrawn (${before.reason ?? 'no reason'}): it stays withdrawn`,
      { model, version, status: before.status },
    );
  }
  await sql.run(
    'UPDATE versions SET status = ?, reason = ? WHERE project = ? AND model = ? AND version = ?',
    status,
    reason,
    sql.project,
    model,
    version,
  );
  await appendAudit(sql, {
    model,
    actor: rollout.holder,
    action: `version.${status}`,
    reason,
    before: { version, status: before.status, reason: before.reason },
    after: { version, status, reason },
    evidence: null,
  });
  return requireVersion(sql, model, version);
}

/** A fence opens its own model only. */
export function requireSameModel(model: string, fence: Fence): void {
  if (model === fence.model) return;
  throw new TidemillError('FENCED', `a rollout of ${fence.model} cannot change ${model}`, { model, fence });
}

function versionOf(row: Row): ModelVersion {
  return {
    ...(JSON.parse(row['draft'] as string) as VersionDraft),
    version: row['version'] as number,
    status: row['status'] as ModelVersion['status'],
    reason: row['reason'] as string | null,
    token: row['token'] as number,
    createdAt: row['created_at'] as number,
  };
}
