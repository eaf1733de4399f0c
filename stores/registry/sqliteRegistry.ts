import { mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import Database from 'libsql';
import type { DeploymentRecord } from '../../contracts/records.js';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import { canonicalJson } from '../../features/hash.js';
import { auditHash, GENESIS_HASH } from './audit.js';
import type {
  AuditRow,
  DeploymentChange,
  Fence,
  InstanceLease,
  InstanceState,
  JournalEntry,
  ModelVersion,
  OutboxRow,
  Registry,
  Rollout,
  VersionDraft,
} from './registry.js';
import { MIGRATIONS } from './schema.js';

export interface SqliteRegistryOptions {
  /** Path of the database file; its folder is made. */
  readonly file: string;
  /** Wall clock, ms. @default Date.now */
  readonly clock?: () => number;
}

/** How long a writer waits for another one, all in all. */
const BUSY_RETRIES = 50;
const BUSY_WAIT_MS = 200;

type Row = Record<string, unknown>;

/** Opens the registry in a SQLite file that several processes may share. */
export async function openSqliteRegistry(options: SqliteRegistryOptions): Promise<Registry> {
  mkdirSync(dirname(options.file), { recursive: true });
  const database = new Database(options.file);
  const registry = new SqliteRegistry(database, options.clock ?? Date.now);
  await registry.migrate();
  return registry;
}

class SqliteRegistry implements Registry {
  constructor(
    private readonly database: Database.Database,
    private readonly clock: () => number,
  ) {
    database.exec('PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA busy_timeout = 2000');
  }

  async migrate(): Promise<void> {
    await this.change(() => {
      this.database.exec('CREATE TABLE IF NOT EXISTS migrations (number INTEGER PRIMARY KEY)');
      for (const [number, sql] of MIGRATIONS.entries()) {
        if (this.one('SELECT 1 FROM migrations WHERE number = ?', number) !== null) continue;
        this.database.exec(sql);
        this.run('INSERT INTO migrations VALUES (?)', number);
      }
    });
  }

  /**
   * One transaction that takes the write lock at once, so that what it reads cannot change under it. Waits for other
   * writers for a bounded time.
   *
   * @throws TidemillError REGISTRY_BUSY
   */
  private async change<T>(act: () => T): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      try {
        this.database.exec('BEGIN IMMEDIATE');
      } catch (error) {
        if (!/busy|locked/i.test(messageOf(error))) throw error;
        if (attempt >= BUSY_RETRIES) {
          throw new TidemillError(
            'REGISTRY_BUSY',
            `the registry stayed locked: ${messageOf(error)}`,
            {},
            { cause: error },
          );
        }
        await sleep(BUSY_WAIT_MS);
        continue;
      }
      try {
        const result = act();
        this.database.exec('COMMIT');
        return result;
      } catch (error) {
        this.database.exec('ROLLBACK');
        throw error;
      }
    }
  }

  private run(sql: string, ...values: unknown[]): number {
    return Number(this.database.prepare(sql).run(...values).changes);
  }
  private all(sql: string, ...values: unknown[]): Row[] {
    return this.database.prepare(sql).all(...values) as Row[];
  }
  private one(sql: string, ...values: unknown[]): Row | null {
    return (this.database.prepare(sql).get(...values) as Row | undefined) ?? null;
  }

  /** Refuses a change under a token that is not the newest of its model, or whose rollout is closed. */
  private checkFence({ model, token }: Fence): void {
    const newest = this.one('SELECT token, closed_at FROM rollouts WHERE model = ? ORDER BY token DESC LIMIT 1', model);
    if (newest !== null && newest['token'] === token && newest['closed_at'] === null) return;
    const now = newest === null ? 'none' : `${newest['token']}${newest['closed_at'] === null ? '' : ' (closed)'}`;
    throw new TidemillError('FENCED', `${model}: token ${token} may not change anything; the newest is ${now}`, {
      model,
      token,
      newest: newest?.['token'] ?? null,
    });
  }

  // Versions

  async registerVersion(draft: VersionDraft, fence: Fence): Promise<ModelVersion> {
    return this.change(() => {
      this.checkFence(fence);
      const known = this.one(
        'SELECT * FROM versions WHERE model = ? AND token = ? AND sha256 = ?',
        draft.model,
        fence.token,
        draft.artifact.sha256,
      );
      if (known !== null) return toVersion(known);
      const withdrawn = this.one(
        `SELECT version FROM versions WHERE model = ? AND sha256 = ? AND status = 'withdrawn'`,
        draft.model,
        draft.artifact.sha256,
      );
      if (withdrawn !== null) {
        throw new TidemillError(
          'VERSION_WITHDRAWN',
          `${draft.model}: the artifact is that of version ${withdrawn['version']}, which was withdrawn`,
          {
            model: draft.model,
            version: withdrawn['version'],
          },
        );
      }
      const next = Number(
        this.one('SELECT coalesce(max(version), 0) + 1 AS next FROM versions WHERE model = ?', draft.model)?.['next'],
      );
      this.run(
        'INSERT INTO versions VALUES (?, ?, ?, NULL, ?, ?, ?, ?)',
        draft.model,
        next,
        'registered',
        fence.token,
        draft.artifact.sha256,
        this.clock(),
        JSON.stringify(draft),
      );
      this.audit(
        draft.model,
        `rollout ${fence.token}`,
        'registerVersion',
        `version ${next}`,
        null,
        { version: next, sha256: draft.artifact.sha256 },
        null,
      );
      return this.requireVersion(draft.model, next);
    });
  }

  async version(model: string, version: number): Promise<ModelVersion | null> {
    const row = this.one('SELECT * FROM versions WHERE model = ? AND version = ?', model, version);
    return row === null ? null : toVersion(row);
  }

  async versions(model: string): Promise<readonly ModelVersion[]> {
    return this.all('SELECT * FROM versions WHERE model = ? ORDER BY version', model).map(toVersion);
  }

  private requireVersion(model: string, version: number): ModelVersion {
    const row = this.one('SELECT * FROM versions WHERE model = ? AND version = ?', model, version);
    if (row === null)
      throw new TidemillError('VERSION_NOT_FOUND', `${model} has no version ${version}`, { model, version });
    return toVersion(row);
  }

  async rejectVersion(model: string, version: number, reason: string, fence: Fence): Promise<ModelVersion> {
    return this.setStatus(model, version, 'rejected', reason, fence);
  }
  async withdrawVersion(model: string, version: number, reason: string, fence: Fence): Promise<ModelVersion> {
    return this.setStatus(model, version, 'withdrawn', reason, fence);
  }

  private async setStatus(
    model: string,
    version: number,
    status: 'rejected' | 'withdrawn',
    reason: string,
    fence: Fence,
  ): Promise<ModelVersion> {
    return this.change(() => {
      this.checkFence(fence);
      const before = this.requireVersion(model, version);
      if (before.status === status) return before;
      if (this.head(model)?.champion === version) {
        throw new TidemillError(
          'VERSION_IN_USE',
          `${model}: version ${version} is the champion and cannot be ${status}`,
          { model, version },
        );
      }
      this.run(
        'UPDATE versions SET status = ?, reason = ? WHERE model = ? AND version = ?',
        status,
        reason,
        model,
        version,
      );
      this.audit(
        model,
        `rollout ${fence.token}`,
        status,
        reason,
        { version, status: before.status },
        { version, status },
        null,
      );
      return this.requireVersion(model, version);
    });
  }

  // Deployments

  private head(model: string): DeploymentRecord | null {
    const row = this.one('SELECT deployment FROM deployments WHERE model = ? ORDER BY epoch DESC LIMIT 1', model);
    return row === null ? null : (JSON.parse(row['deployment'] as string) as DeploymentRecord);
  }

  async deployment(model: string): Promise<DeploymentRecord | null> {
    return this.head(model);
  }

  async changeDeployment(change: DeploymentChange): Promise<DeploymentRecord> {
    const { fence, step, expectEpoch, next } = change;
    const { model, token } = fence;
    return this.change(() => {
      const repeated = this.one(
        'SELECT deployment FROM deployments WHERE model = ? AND token = ? AND step = ?',
        model,
        token,
        step,
      );
      if (repeated !== null) return JSON.parse(repeated['deployment'] as string) as DeploymentRecord;
      this.checkFence(fence);
      const before = this.head(model);
      if ((before?.epoch ?? 0) !== expectEpoch) {
        throw new TidemillError(
          'EPOCH_STALE',
          `${model}: the deployment is at epoch ${before?.epoch ?? 0}, not ${expectEpoch}`,
          {
            model,
            epoch: before?.epoch ?? 0,
            expectEpoch,
          },
        );
      }
      for (const version of [next.champion, next.challenger, next.prepare]) {
        if (version === null || this.requireVersion(model, version).status === 'registered') continue;
        throw new TidemillError(
          'VERSION_WITHDRAWN',
          `${model}: version ${version} is ${this.requireVersion(model, version).status}`,
          { model, version },
        );
      }
      const after: DeploymentRecord = { ...next, model, epoch: expectEpoch + 1 };
      const text = JSON.stringify(after);
      this.run(
        'INSERT INTO deployments VALUES (?, ?, ?, ?, ?, ?)',
        model,
        after.epoch,
        text,
        token,
        step,
        this.clock(),
      );
      this.run('INSERT INTO outbox (model, deployment) VALUES (?, ?)', model, text);
      this.audit(model, change.actor, step, change.reason, before, after, change.evidence);
      return after;
    });
  }

  async championHistory(model: string): Promise<readonly { version: number; epoch: number; at: number }[]> {
    const history: { version: number; epoch: number; at: number }[] = [];
    for (const row of this.all('SELECT epoch, deployment, at FROM deployments WHERE model = ? ORDER BY epoch', model)) {
      const { champion } = JSON.parse(row['deployment'] as string) as DeploymentRecord;
      if (champion !== null && history.at(-1)?.version !== champion) {
        history.push({ version: champion, epoch: row['epoch'] as number, at: row['at'] as number });
      }
    }
    return history.reverse().slice(1);
  }

  // Outbox

  async pendingOutbox(limit: number): Promise<readonly OutboxRow[]> {
    return this.all('SELECT id, model, deployment FROM outbox WHERE published = 0 ORDER BY id LIMIT ?', limit).map(
      (row) => ({
        id: row['id'] as number,
        model: row['model'] as string,
        deployment: JSON.parse(row['deployment'] as string) as DeploymentRecord,
      }),
    );
  }

  async markPublished(ids: readonly number[]): Promise<void> {
    await this.change(() => {
      for (const id of ids) this.run('UPDATE outbox SET published = 1 WHERE id = ?', id);
    });
  }

  // Instances

  async renewInstance(state: InstanceState, leaseMs: number): Promise<void> {
    await this.change(() => {
      for (const model of state.models) {
        this.run(
          'INSERT OR REPLACE INTO instances VALUES (?, ?, ?, ?)',
          state.instance,
          model,
          JSON.stringify(state),
          this.clock() + leaseMs,
        );
      }
    });
  }

  async removeInstance(instance: string): Promise<void> {
    await this.change(() => this.run('DELETE FROM instances WHERE instance = ?', instance));
  }

  async liveInstances(model: string): Promise<readonly InstanceLease[]> {
    return this.all(
      'SELECT state, expires_at FROM instances WHERE model = ? AND expires_at > ? ORDER BY instance',
      model,
      this.clock(),
    ).map((row) => ({
      ...(JSON.parse(row['state'] as string) as InstanceState),
      expiresAt: row['expires_at'] as number,
    }));
  }

  async sweepInstances(): Promise<number> {
    return this.change(() => this.run('DELETE FROM instances WHERE expires_at <= ?', this.clock()));
  }

  // Rollouts

  async openRollout(model: string, holder: string, trigger: string): Promise<Rollout> {
    return this.change(() => {
      const newest = this.one('SELECT * FROM rollouts WHERE model = ? ORDER BY token DESC LIMIT 1', model);
      // The same holder asking again, after its answer was lost, gets the rollout that it has.
      if (newest !== null && newest['holder'] === holder && newest['closed_at'] === null) return toRollout(newest);
      const token = Number(newest?.['token'] ?? 0) + 1;
      this.run(
        'INSERT INTO rollouts VALUES (?, ?, ?, ?, ?, ?, NULL, NULL)',
        model,
        token,
        holder,
        trigger,
        'opened',
        this.clock(),
      );
      this.audit(model, holder, 'openRollout', trigger, newest === null ? null : toRollout(newest), { token }, null);
      return toRollout(this.one('SELECT * FROM rollouts WHERE model = ? AND token = ?', model, token) as Row);
    });
  }

  async setPhase(fence: Fence, phase: string): Promise<void> {
    await this.change(() => {
      this.checkFence(fence);
      this.run('UPDATE rollouts SET phase = ? WHERE model = ? AND token = ?', phase, fence.model, fence.token);
    });
  }

  async closeRollout({ model, token }: Fence, outcome: string): Promise<void> {
    await this.change(() => {
      const changed = this.run(
        `UPDATE rollouts SET closed_at = ?, outcome = ?, phase = 'closed' WHERE model = ? AND token = ? AND closed_at IS NULL`,
        this.clock(),
        outcome,
        model,
        token,
      );
      if (changed === 1) this.audit(model, `rollout ${token}`, 'closeRollout', outcome, null, { token, outcome }, null);
    });
  }

  async rollout(model: string, token: number): Promise<Rollout | null> {
    const row = this.one('SELECT * FROM rollouts WHERE model = ? AND token = ?', model, token);
    return row === null ? null : toRollout(row);
  }

  async rollouts(model: string): Promise<readonly Rollout[]> {
    return this.all('SELECT * FROM rollouts WHERE model = ? ORDER BY token DESC', model).map(toRollout);
  }

  async journalIntent(fence: Fence, step: string, intent: unknown): Promise<void> {
    await this.change(() => {
      this.checkFence(fence);
      this.run(
        'INSERT OR IGNORE INTO journal VALUES (?, ?, ?, ?, NULL, ?, NULL)',
        fence.model,
        fence.token,
        step,
        JSON.stringify(intent),
        this.clock(),
      );
    });
  }

  async journalResult(fence: Fence, step: string, result: unknown): Promise<void> {
    await this.change(() => {
      this.checkFence(fence);
      this.run(
        'UPDATE journal SET result = ?, finished_at = ? WHERE model = ? AND token = ? AND step = ? AND result IS NULL',
        JSON.stringify(result),
        this.clock(),
        fence.model,
        fence.token,
        step,
      );
    });
  }

  async journal(model: string, token: number): Promise<readonly JournalEntry[]> {
    return this.all('SELECT * FROM journal WHERE model = ? AND token = ? ORDER BY started_at, rowid', model, token).map(
      (row) => ({
        step: row['step'] as string,
        intent: JSON.parse(row['intent'] as string) as unknown,
        result: row['result'] === null ? null : (JSON.parse(row['result'] as string) as unknown),
        startedAt: row['started_at'] as number,
        finishedAt: row['finished_at'] as number | null,
      }),
    );
  }

  // Evidence

  async storeEvidence(fence: Fence, version: number | null, gate: string, evidence: unknown): Promise<void> {
    await this.change(() => {
      this.checkFence(fence);
      this.run(
        `INSERT INTO evidence (model, token, version, gate, evidence) VALUES (?, ?, ?, ?, ?)
         ON CONFLICT (model, token, gate) DO UPDATE SET version = coalesce(excluded.version, version), evidence = excluded.evidence`,
        fence.model,
        fence.token,
        version,
        gate,
        JSON.stringify(evidence),
      );
    });
  }

  async evidence(
    model: string,
    token: number,
  ): Promise<readonly { gate: string; version: number | null; evidence: unknown }[]> {
    return this.all(
      'SELECT gate, version, evidence FROM evidence WHERE model = ? AND token = ? ORDER BY id',
      model,
      token,
    ).map((row) => ({
      gate: row['gate'] as string,
      version: row['version'] as number | null,
      evidence: JSON.parse(row['evidence'] as string) as unknown,
    }));
  }

  // Audit

  private audit(
    model: string,
    actor: string,
    action: string,
    reason: string,
    before: unknown,
    after: unknown,
    evidence: unknown,
  ): void {
    const last = this.one('SELECT sequence, hash FROM audit WHERE model = ? ORDER BY sequence DESC LIMIT 1', model);
    const previousHash = (last?.['hash'] as string | undefined) ?? GENESIS_HASH;
    const row = {
      sequence: Number(last?.['sequence'] ?? 0) + 1,
      model,
      at: this.clock(),
      actor,
      action,
      reason,
      before,
      after,
      evidence,
    };
    this.run(
      'INSERT INTO audit VALUES (?, ?, ?, ?, ?)',
      model,
      row.sequence,
      canonicalJson(row),
      previousHash,
      auditHash(previousHash, row),
    );
  }

  async auditRows(model: string): Promise<readonly AuditRow[]> {
    return this.all('SELECT row, previous_hash, hash FROM audit WHERE model = ? ORDER BY sequence', model).map(
      (stored) => ({
        ...(JSON.parse(stored['row'] as string) as Omit<AuditRow, 'hash' | 'previousHash'>),
        previousHash: stored['previous_hash'] as string,
        hash: stored['hash'] as string,
      }),
    );
  }

  // Stream time

  async advanceWatermark(stream: string, watermark: number): Promise<void> {
    await this.change(() =>
      this.run(
        'INSERT INTO watermarks VALUES (?, ?) ON CONFLICT (stream) DO UPDATE SET watermark = max(watermark, excluded.watermark)',
        stream,
        watermark,
      ),
    );
  }

  async watermark(stream: string): Promise<number | null> {
    return (
      (this.one('SELECT watermark FROM watermarks WHERE stream = ?', stream)?.['watermark'] as number | undefined) ??
      null
    );
  }

  // Generations

  async generation(topology: string): Promise<number> {
    return this.change(() => {
      this.run('INSERT OR IGNORE INTO generations VALUES (?, 1)', topology);
      return Number(this.one('SELECT generation FROM generations WHERE topology = ?', topology)?.['generation']);
    });
  }

  async issueGeneration(topology: string): Promise<number> {
    return this.change(() => {
      this.run(
        'INSERT INTO generations VALUES (?, 1) ON CONFLICT (topology) DO UPDATE SET generation = generation + 1',
        topology,
      );
      return Number(this.one('SELECT generation FROM generations WHERE topology = ?', topology)?.['generation']);
    });
  }

  async close(): Promise<void> {
    this.database.close();
  }
}

function toVersion(row: Row): ModelVersion {
  return {
    ...(JSON.parse(row['draft'] as string) as VersionDraft),
    version: row['version'] as number,
    status: row['status'] as ModelVersion['status'],
    reason: row['reason'] as string | null,
    token: row['token'] as number,
    createdAt: row['created_at'] as number,
  };
}

function toRollout(row: Row): Rollout {
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
