import { TidemillError } from '../../contracts/errors.js';

/** Where the databases' languages for schemas differ. */
export interface SchemaDialect {
  /** Type of whole numbers up to 2^53 - 1. */
  readonly integer: string;
  /** Type of text that is ordered by its bytes. */
  readonly text: string;
  /** A primary key that counts up by itself. */
  readonly id: string;
  /** What a CREATE TABLE ends with. */
  readonly strict: string;
  /** A statement after which `event` (`DELETE ON audit`) fails with `reason`. */
  readonly refuse: (trigger: string, event: string, reason: string) => string;
}

/**
 * The schema, as the steps that made it: the nth step leads to schema n. Steps are never edited, only added.
 * JSON columns hold canonical JSON as text. Every row belongs to a project.
 */
const STEPS: readonly ((dialect: SchemaDialect) => string)[] = [
  ({ integer, text, id, strict, refuse }) => `
  CREATE TABLE versions (
    project ${text} NOT NULL, model ${text} NOT NULL, version ${integer} NOT NULL,
    token ${integer} NOT NULL, sha256 ${text} NOT NULL, draft ${text} NOT NULL,
    status ${text} NOT NULL CHECK (status IN ('registered', 'rejected', 'withdrawn')),
    reason ${text}, created_at ${integer} NOT NULL,
    PRIMARY KEY (project, model, version)
  )${strict};
  CREATE UNIQUE INDEX versions_by_rollout ON versions (project, model, token, sha256);
  ${refuse('versions_stay', 'DELETE ON versions', 'versions are append-only')}
  ${refuse(
    'versions_keep',
    'UPDATE OF project, model, version, token, sha256, draft, created_at ON versions',
    'versions are append-only',
  )}

  CREATE TABLE deployments (
    project ${text} NOT NULL, model ${text} NOT NULL, epoch ${integer} NOT NULL,
    token ${integer} NOT NULL, step ${text} NOT NULL, record ${text} NOT NULL,
    champion ${integer}, promoted ${integer} NOT NULL, changed_at ${integer} NOT NULL,
    PRIMARY KEY (project, model, epoch)
  )${strict};
  CREATE UNIQUE INDEX deployments_by_step ON deployments (project, model, token, step);

  CREATE TABLE outbox (
    id ${id},
    project ${text} NOT NULL, model ${text} NOT NULL, record ${text} NOT NULL, published_at ${integer}
  )${strict};
  CREATE INDEX outbox_pending ON outbox (project, id) WHERE published_at IS NULL;

  CREATE TABLE audit (
    project ${text} NOT NULL, model ${text} NOT NULL, sequence ${integer} NOT NULL,
    row ${text} NOT NULL, hash ${text} NOT NULL,
    PRIMARY KEY (project, model, sequence)
  )${strict};
  ${refuse('audit_stays', 'DELETE ON audit', 'the audit is append-only')}
  ${refuse('audit_keeps', 'UPDATE ON audit', 'the audit is append-only')}

  CREATE TABLE rollouts (
    project ${text} NOT NULL, model ${text} NOT NULL, token ${integer} NOT NULL,
    holder ${text} NOT NULL, trigger ${text} NOT NULL, phase ${text} NOT NULL,
    opened_at ${integer} NOT NULL, closed_at ${integer}, outcome ${text},
    PRIMARY KEY (project, model, token)
  )${strict};
  CREATE UNIQUE INDEX rollouts_open ON rollouts (project, model) WHERE closed_at IS NULL;

  CREATE TABLE journal (
    id ${id},
    project ${text} NOT NULL, model ${text} NOT NULL, token ${integer} NOT NULL, step ${text} NOT NULL,
    intent ${text} NOT NULL, result ${text}, started_at ${integer} NOT NULL, finished_at ${integer},
    UNIQUE (project, model, token, step)
  )${strict};

  CREATE TABLE evidence (
    id ${id},
    project ${text} NOT NULL, model ${text} NOT NULL, token ${integer} NOT NULL, version ${integer},
    gate ${text} NOT NULL, evidence ${text} NOT NULL, stored_at ${integer} NOT NULL
  )${strict};
  CREATE INDEX evidence_by_rollout ON evidence (project, model, token, gate);

  CREATE TABLE instances (
    project ${text} NOT NULL, instance ${text} NOT NULL, kind ${text} NOT NULL, models ${text} NOT NULL,
    ready_epoch ${integer} NOT NULL, active_epoch ${integer} NOT NULL, breaker ${text} NOT NULL, problem ${text},
    expires_at ${integer} NOT NULL,
    PRIMARY KEY (project, instance)
  )${strict};

  CREATE TABLE watermarks (
    project ${text} NOT NULL, stream ${text} NOT NULL, watermark ${integer} NOT NULL,
    PRIMARY KEY (project, stream)
  )${strict};

  CREATE TABLE generations (
    project ${text} NOT NULL, topology ${text} NOT NULL, generation ${integer} NOT NULL,
    PRIMARY KEY (project, topology)
  )${strict};
  `,
  // Views and request features that a version reads, copied from its lineage.
  ({ text, integer, strict }) => `
  CREATE TABLE version_views (
    project ${text} NOT NULL, view ${text} NOT NULL, model ${text} NOT NULL, version ${integer} NOT NULL,
    hash ${text} NOT NULL,
    PRIMARY KEY (project, view, model, version)
  )${strict};
  `,
  // One decision per rollout; the id of a signed token is used once.
  ({ text, integer, strict, refuse }) => `
  CREATE TABLE approvals (
    project ${text} NOT NULL, model ${text} NOT NULL, token ${integer} NOT NULL,
    jti ${text}, used_by ${text} NOT NULL, decision ${text} NOT NULL, decided_at ${integer} NOT NULL,
    PRIMARY KEY (project, model, token)
  )${strict};
  CREATE UNIQUE INDEX approvals_by_jti ON approvals (project, model, jti);
  ${refuse('approvals_stay', 'DELETE ON approvals', 'approvals are append-only')}
  ${refuse('approvals_keep', 'UPDATE ON approvals', 'approvals are append-only')}
  `,
  // What instances compute, as JSON; null for those that compute nothing.
  ({ text }) => `
  ALTER TABLE instances ADD COLUMN features ${text};
  `,
  // Newest epoch that an instance will never follow; 0 for none.
  ({ integer }) => `
  ALTER TABLE instances ADD COLUMN refused_epoch ${integer} NOT NULL DEFAULT 0;
  `,
];

/** Schema that this program writes. */
export const SCHEMA_VERSION = STEPS.length;

/**
 * The statements that lead from schema `found` (0: none yet) to SCHEMA_VERSION.
 *
 * @param place the registry, for the error.
 * @throws TidemillError REGISTRY_INCOMPATIBLE where a newer program wrote the registry.
 */
export function migrationsFrom(found: number, dialect: SchemaDialect, place: string): readonly string[] {
  if (found > SCHEMA_VERSION) {
    throw new TidemillError(
      'REGISTRY_INCOMPATIBLE',
      `${place} has schema ${found}; this program knows schemas up to ${SCHEMA_VERSION}`,
      { registry: place, found, known: SCHEMA_VERSION },
    );
  }
  return STEPS.slice(found).map((step) => step(dialect));
}
