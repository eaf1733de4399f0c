import { TidemillError } from '../../contracts/errors.js';
import type { Fence, ModelVersion, Registry, VersionDraft } from './registry.js';
import { appendAudit } from './sqliteAudit.js';
import type { Row, Sql, SqliteDatabase } from './sqliteDatabase.js';
import { requireNewest, requireOpen } from './sqliteRollouts.js';
import { jsonText } from './jsonText.js';

export function versionMethods(
  database: SqliteDatabase,
): Pick<Registry, 'registerVersion' | 'version' | 'versions' | 'rejectVersion' | 'withdrawVersion'> {
  return {
    registerVersion: (draft, fence) => database.write((sql) => register(sql, draft, fence)),
    version: (model, version) => database.read((sql) => findVersion(sql, model, version)),
    versions: (model) =>
      database.read((sql) =>
        sql
          .rows('SELECT * FROM versions WHERE project = ? AND model = ? ORDER BY version', sql.project, model)
          .map(versionOf),
      ),
    rejectVersion: (model, version, reason, fence) =>
      database.write((sql) => mark(sql, { model, version, reason, fence, status: 'rejected' })),
    withdrawVersion: (model, version, reason, fence) =>
      database.write((sql) => mark(sql, { model, version, reason, fence, status: 'withdrawn' })),
  };
}

export function findVersion(sql: Sql, model: string, version: number): ModelVersion | null {
  const row = sql.row(
    'SELECT * FROM versions WHERE project = ? AND model = ? AND version = ?',
    sql.project,
    model,
    version,
  );
  return row === null ? null : versionOf(row);
}

/** @throws TidemillError VERSION_NOT_FOUND */
export function requireVersion(sql: Sql, model: string, version: number): ModelVersion {
  const found = findVersion(sql, model, version);
  if (found !== null) return found;
  throw new TidemillError('VERSION_NOT_FOUND', `${model} has no version ${version}`, { model, version });
}

/** Champion of the newest deployment, or null. */
function championOf(sql: Sql, model: string): number | null {
  const row = sql.row(
    'SELECT champion FROM deployments WHERE project = ? AND model = ? ORDER BY epoch DESC LIMIT 1',
    sql.project,
    model,
  );
  return row === null ? null : (row['champion'] as number | null);
}

function register(sql: Sql, draft: VersionDraft, fence: Fence): ModelVersion {
  requireSameModel(draft.model, fence);
  const rollout = requireNewest(sql, fence);
  const { sha256 } = draft.artifact;
  const known = sql.row(
    'SELECT * FROM versions WHERE project = ? AND model = ? AND token = ? AND sha256 = ?',
    sql.project,
    draft.model,
    fence.token,
    sha256,
  );
  if (known !== null) return versionOf(known);
  requireOpen(sql, fence);
  const withdrawn = sql.row(
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
  const newest = sql.row(
    'SELECT max(version) AS version FROM versions WHERE project = ? AND model = ?',
    sql.project,
    draft.model,
  );
  const version = ((newest?.['version'] as number | null | undefined) ?? 0) + 1;
  sql.run(
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
  const registered = requireVersion(sql, draft.model, version);
  appendAudit(sql, {
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

function mark(sql: Sql, { model, version, status, reason, fence }: Mark): ModelVersion {
  requireSameModel(model, fence);
  const rollout = requireNewest(sql, fence);
  const before = requireVersion(sql, model, version);
  if (before.status === status) return before;
  requireOpen(sql, fence);
  if (championOf(sql, model) === version) {
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
  sql.run(
    'UPDATE versions SET status = ?, reason = ? WHERE project = ? AND model = ? AND version = ?',
    status,
    reason,
    sql.project,
    model,
    version,
  );
  appendAudit(sql, {
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
