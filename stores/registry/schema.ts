/** Tables of the registry, as steps that are applied once each, in order. */
export const MIGRATIONS: readonly string[] = [
  `CREATE TABLE versions (
     model TEXT NOT NULL, version INTEGER NOT NULL, status TEXT NOT NULL, reason TEXT, token INTEGER NOT NULL,
     sha256 TEXT NOT NULL, created_at INTEGER NOT NULL, draft TEXT NOT NULL, PRIMARY KEY (model, version));
   CREATE UNIQUE INDEX versions_of_rollouts ON versions (model, token, sha256);
   CREATE TABLE deployments (
     model TEXT NOT NULL, epoch INTEGER NOT NULL, deployment TEXT NOT NULL, token INTEGER NOT NULL, step TEXT NOT NULL,
     at INTEGER NOT NULL, PRIMARY KEY (model, epoch));
   CREATE UNIQUE INDEX deployments_of_steps ON deployments (model, token, step);
   CREATE TABLE outbox (id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, deployment TEXT NOT NULL, published INTEGER NOT NULL DEFAULT 0);
   CREATE TABLE instances (
     instance TEXT NOT NULL, model TEXT NOT NULL, state TEXT NOT NULL, expires_at INTEGER NOT NULL, PRIMARY KEY (instance, model));
   CREATE TABLE rollouts (
     model TEXT NOT NULL, token INTEGER NOT NULL, holder TEXT NOT NULL, trigger TEXT NOT NULL, phase TEXT NOT NULL,
     opened_at INTEGER NOT NULL, closed_at INTEGER, outcome TEXT, PRIMARY KEY (model, token));
   CREATE TABLE journal (
     model TEXT NOT NULL, token INTEGER NOT NULL, step TEXT NOT NULL, intent TEXT NOT NULL, result TEXT,
     started_at INTEGER NOT NULL, finished_at INTEGER, PRIMARY KEY (model, token, step));
   CREATE TABLE evidence (
     id INTEGER PRIMARY KEY AUTOINCREMENT, model TEXT NOT NULL, token INTEGER NOT NULL, version INTEGER, gate TEXT NOT NULL, evidence TEXT NOT NULL);
   CREATE UNIQUE INDEX evidence_once ON evidence (model, token, gate);
   CREATE TABLE audit (
     model TEXT NOT NULL, sequence INTEGER NOT NULL, row TEXT NOT NULL, previous_hash TEXT NOT NULL, hash TEXT NOT NULL,
     PRIMARY KEY (model, sequence));
   CREATE TABLE watermarks (stream TEXT PRIMARY KEY, watermark INTEGER NOT NULL);
   CREATE TABLE generations (topology TEXT PRIMARY KEY, generation INTEGER NOT NULL);`,
];
