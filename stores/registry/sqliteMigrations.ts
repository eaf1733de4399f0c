import type Database from 'libsql';
import { TidemillError } from '../../contracts/errors.js';

/**
 * The schema, as the steps that made it: the nth step leads to `user_version` n. Steps are never edited, only added.
 * JSON columns hold canonical JSON. Every row belongs to a project.
 */
const MIGRATIONS: readonly string[] = [
  `
  CREATE TABLE versions (
    project TEXT NOT NULL, model TEXT NOT NULL, version INTEGER NOT NULL,
    token INTEGER NOT NULL, sha256 TEXT NOT NULL, draft TEXT NOT NULL,
    status TEXT NOT NULL CHECK (status IN ('registered', 'rejected', 'withdrawn')),
    reason TEXT, created_at INTEGER NOT NULL,
    PRIMARY KEY (project, model, version)
  ) STRICT;
  CREATE UNIQUE INDEX versions_by_rollout ON versions (project, model, token, sha256);
  CREATE TRIGGER versions_stay BEFORE DELETE ON versions BEGIN SELECT RAISE(ABORT, 'versions are append-only'); END;
  CREATE TRIGGER versions_keep BEFORE UPDATE OF project, model, version, token, sha256, draft, created_at ON versions
    BEGIN SELECT RAISE(ABORT, 'versions are append-only'); END;

  CREATE TABLE deployments (
    project TEXT NOT NULL, model TEXT NOT NULL, epoch INTEGER NOT NULL,
    token INTEGER NOT NULL, step TEXT NOT NULL, record TEXT NOT NULL,
    champion INTEGER, promoted INTEGER NOT NULL, changed_at INTEGER NOT NULL,
    PRIMARY KEY (project, model, epoch)
  ) STRICT;
  CREATE UNIQUE INDEX deployments_by_step ON deployments (project, model, token, step);

  CREATE TABLE outbox (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL, model TEXT NOT NULL, record TEXT NOT NULL, published_at INTEGER
  ) STRICT;
  CREATE INDEX outbox_pending ON outbox (project, id) WHERE published_at IS NULL;

  CREATE TABLE audit (
    project TEXT NOT NULL, model TEXT NOT NULL, sequence INTEGER NOT NULL,
    row TEXT NOT NULL, hash TEXT NOT NULL,
    PRIMARY KEY (project, model, sequence)
  ) STRICT;
  CREATE TRIGGER audit_stays BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;
  CREATE TRIGGER audit_keeps BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'the audit is append-only'); END;

  CREATE TABLE rollouts (
    project TEXT NOT NULL, model TEXT NOT NULL, token INTEGER NOT NULL,
    holder TEXT NOT NULL, trigger TEXT NOT NULL, phase TEXT NOT NULL,
    opened_at INTEGER NOT NULL, closed_at INTEGER, outcome TEXT,
    PRIMARY KEY (project, model, token)
  ) STRICT;
  CREATE UNIQUE INDEX rollouts_open ON rollouts (project, model) WHERE closed_at IS NULL;

  CREATE TABLE journal (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL, model TEXT NOT NULL, token INTEGER NOT NULL, step TEXT NOT NULL,
    intent TEXT NOT NULL, result TEXT, started_at INTEGER NOT NULL, finished_at INTEGER,
    UNIQUE (project, model, token, step)
  ) STRICT;

  CREATE TABLE evidence (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    project TEXT NOT NULL, model TEXT NOT NULL, token INTEGER NOT NULL, version INTEGER,
    gate TEXT NOT NULL, evidence TEXT NOT NULL, stored_at INTEGER NOT NULL
  ) STRICT;
  CREATE INDEX evidence_by_rollout ON evidence (project, model, token, gate);

  CREATE TABLE instances (
    project TEXT NOT NULL, instance TEXT NOT NULL, kind TEXT NOT NULL, models TEXT NOT NULL,
    ready_epoch INTEGER NOT NULL, active_epoch INTEGER NOT NULL, breaker TEXT NOT NULL, problem TEXT,
    expires_at INTEGER NOT NULL,
    PRIMARY KEY (project, instance)
  ) STRICT;

  CREATE TABLE watermarks (
    project TEXT NOT NULL, stream TEXT NOT NULL, watermark INTEGER NOT NULL,
    PRIMARY KEY (project, stream)
  ) STRICT;

  CREATE TABLE generations (
    project TEXT NOT NULL, topology TEXT NOT NULL, generation INTEGER NOT NULL,
    PRIMARY KEY (project, topology)
  ) STRICT;
  `,
];

/**
 * Applies the steps that the file lacks, in one transaction: of several processes that open a new file one does it and
 * the others find it done.
 *
 * @throws TidemillError REGISTRY_INCOMPATIBLE where a newer program wrote the file.
 */
export function migrate(connection: Database.Database, file: string, transaction: (work: () => void) => void): void {
  if (schemaVersion(connection) === MIGRATIONS.length) return;
  transaction(() => {
    const found = schemaVersion(connection);
    if (found > MIGRATIONS.length) {
      throw new TidemillError(
        'REGISTRY_INCOMPATIBLE',
        `${file} has schema ${found}; this program knows schemas up to ${MIGRATIONS.length}`,
        { file, found, known: MIGRATIONS.length },
      );
    }
    for (const step of MIGRATIONS.slice(found)) connection.exec(step);
    connection.exec(`PRAGMA user_version = ${MIGRATIONS.length}`);
  });
}

function schemaVersion(connection: Database.Database): number {
  const [row] = connection.prepare('PRAGMA user_version').all() as { user_version: number }[];
  return row?.user_version ?? 0;
}
