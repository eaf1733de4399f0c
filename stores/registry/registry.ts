import type { AuditResult } from '../../contracts/consistency.js';
import type { DeploymentRecord } from '../../contracts/records.js';
import type { ApprovalDecision } from '../../contracts/rollout.js';

/**
 * The registry: the one source of truth about versions, deployments, rollouts and instances. A port with two adapters:
 * SQLite for the processes of one machine, PostgreSQL for a cluster. All changes are single transactions; a change that carries a fence is refused with FENCED when the
 * rollout's token is no longer the newest of its model.
 */
export interface Registry {
  // Versions: append-only.
  /** Registers a version. Idempotent: the same rollout token and sha256 give the version that exists. */
  registerVersion(draft: VersionDraft, fence: Fence): Promise<ModelVersion>;
  version(model: string, version: number): Promise<ModelVersion | null>;
  versions(model: string): Promise<readonly ModelVersion[]>;
  /**
   * Which versions read a feature view or request features of this name, by model and version: rejected and withdrawn
   * ones too. Versions whose lineage names no views are not found.
   */
  versionsReading(view: string): Promise<readonly ViewReader[]>;
  /** Marks a version that failed its gates; refused for a champion. */
  rejectVersion(model: string, version: number, reason: string, fence: Fence): Promise<ModelVersion>;
  withdrawVersion(model: string, version: number, reason: string, fence: Fence): Promise<ModelVersion>;

  // Deployments: aliases, audit and outbox change in one transaction.
  deployment(model: string): Promise<DeploymentRecord | null>;
  /**
   * Compare-and-set of the head deployment: refused with EPOCH_STALE unless the head's epoch is `expectEpoch` (0: none
   * yet). Repeating a change that already happened under the same fence and `step` returns the head unchanged.
   */
  changeDeployment(change: DeploymentChange): Promise<DeploymentRecord>;
  /** Former champions, newest first. */
  championHistory(model: string): Promise<readonly { version: number; epoch: number; at: number }[]>;

  // Outbox: rows to publish to the topic `deployments`.
  pendingOutbox(limit: number): Promise<readonly OutboxRow[]>;
  markPublished(ids: readonly number[]): Promise<void>;

  // Instances: live = lease not expired.
  /** Creates or renews a lease, for `leaseMs` from now. */
  renewInstance(state: InstanceState, leaseMs: number): Promise<void>;
  removeInstance(instance: string): Promise<void>;
  liveInstances(model: string): Promise<readonly InstanceLease[]>;
  /** Deletes expired leases; returns how many. */
  sweepInstances(): Promise<number>;

  // Rollouts: ownership, journal.
  /** Issues the next token of the model and opens a rollout under it; every older token is fenced from then on. */
  openRollout(model: string, holder: string, trigger: string): Promise<Rollout>;
  setPhase(fence: Fence, phase: string): Promise<void>;
  closeRollout(fence: Fence, outcome: string): Promise<void>;
  rollout(model: string, token: number): Promise<Rollout | null>;
  /** The one with the greatest token; null before the first. */
  newestRollout(model: string): Promise<Rollout | null>;
  /** Newest first. */
  rollouts(model: string): Promise<readonly Rollout[]>;
  /** Records the intent of a step before its side effect, then its result. Idempotent per step. */
  journalIntent(fence: Fence, step: string, intent: unknown): Promise<void>;
  journalResult(fence: Fence, step: string, result: unknown): Promise<void>;
  journal(model: string, token: number): Promise<readonly JournalEntry[]>;

  // Approvals: one decision per rollout.
  /**
   * Decides the step `approval` of an open rollout: the signed token is used up, the decision is the step's result and a
   * row of the audit, all in one transaction. The same attempt again (`usedBy`) gets the decision that it made.
   *
   * @throws TidemillError APPROVAL_INVALID where the token was used before, the rollout was decided already, or asks for
   *   nothing; FENCED
   */
  consumeApproval(fence: Fence, use: ApprovalUse): Promise<ApprovalDecision>;
  /** The decision about a rollout; null where there is none. */
  approval(model: string, token: number): Promise<UsedApproval | null>;

  // Evidence: verdicts of gates, stored with the version or, before there is one, with the rollout.
  storeEvidence(fence: Fence, version: number | null, gate: string, evidence: unknown): Promise<void>;
  evidence(
    model: string,
    token: number,
  ): Promise<readonly { gate: string; version: number | null; evidence: unknown }[]>;

  /**
   * The rollouts of every project of the registry with the objects that they name: the projects share the store of
   * objects. What a rollout names that opened after the call began may be missing.
   */
  rolloutObjects(): Promise<readonly RolloutObjects[]>;

  /**
   * Adds what an audit of served vectors found to the model's audit, as `consistency.audited`. The same actor is noted once.
   *
   * @param actor the run of the workflow.
   */
  noteConsistency(model: string, actor: string, result: AuditResult): Promise<void>;
  /** Audit rows, oldest first. */
  auditRows(model: string): Promise<readonly AuditRow[]>;

  // Stream time: watermark of a stream as the monitor last saw it; never goes back.
  advanceWatermark(stream: string, watermark: number): Promise<void>;
  watermark(stream: string): Promise<number | null>;

  /** Number of the running copy of a topology: 1 at first. */
  generation(topology: string): Promise<number>;
  /** Issues the next generation (reset, rebuild). */
  issueGeneration(topology: string): Promise<number>;
  /** The number that the next generation gets: no number is given twice. */
  nextGeneration(topology: string): Promise<number>;
  /** Generation that is replayed beside the running one; null where none is. */
  replayGeneration(topology: string): Promise<number | null>;
  /** Issues a generation to be replayed beside the running one; gives the one that there is already. */
  issueReplay(topology: string): Promise<number>;
  /**
   * Ends a replay: its generation is the running one from here on, or is dropped.
   *
   * @returns false where it is not what is being replayed: nothing is changed then.
   */
  endReplay(topology: string, generation: number, how: 'adopt' | 'drop'): Promise<boolean>;

  close(): Promise<void>;
}

export interface Fence {
  readonly model: string;
  readonly token: number;
}

export interface VersionDraft {
  readonly model: string;
  readonly artifact: { readonly uri: string; readonly sha256: string; readonly bytes: number };
  /** Hash of the feature service: the input contract; and its column names, in order. */
  readonly service: string;
  readonly columns: readonly string[];
  /** The service as data (features/storedService.ts); versions of before it was kept have none. */
  readonly definition?: { readonly uri: string; readonly sha256: string };
  /** The dataset manifest of the release fit. */
  readonly dataset: { readonly uri: string; readonly sha256: string };
  readonly trainer: string;
  readonly hyperparameters: Readonly<Record<string, unknown>>;
  readonly codeVersion: string;
  readonly workflow: { readonly id: string; readonly runId: string } | null;
  readonly trigger: string;
  readonly metrics: Readonly<Record<string, number>>;
  readonly lineage: Lineage;
}

/** Where a version comes from. */
export interface Lineage {
  /** Hash of every feature view and of all request features that the version reads, by name. */
  readonly views?: Readonly<Record<string, string>>;
  readonly [name: string]: unknown;
}

/** A version that reads a view, and the view's hash that it was trained on. */
export interface ViewReader {
  readonly model: string;
  readonly version: number;
  readonly status: ModelVersion['status'];
  readonly hash: string;
}

export interface ModelVersion extends VersionDraft {
  readonly version: number;
  readonly status: 'registered' | 'rejected' | 'withdrawn';
  readonly reason: string | null;
  readonly token: number;
  /** Wall clock, ms. */
  readonly createdAt: number;
}

export interface DeploymentChange {
  readonly fence: Fence;
  /** Journal step that makes the change: `prepare`, `commit`, `abort`, … */
  readonly step: string;
  readonly expectEpoch: number;
  readonly next: Omit<DeploymentRecord, 'model' | 'epoch'>;
  readonly actor: string;
  readonly reason: string;
  readonly evidence: unknown;
}

export interface OutboxRow {
  readonly id: number;
  readonly model: string;
  readonly deployment: DeploymentRecord;
}

export interface InstanceState {
  readonly instance: string;
  readonly kind: 'stream' | 'http' | 'learner';
  readonly models: readonly string[];
  /** Epoch of the deployment whose `prepare` version is loaded and warm; and of the one that is serving. */
  readonly readyEpoch: number;
  readonly activeEpoch: number;
  readonly breaker: 'closed' | 'open';
  /** Why the instance cannot follow, where it cannot. */
  readonly problem: string | null;
  /**
   * The newest epoch that this process will never follow, however often it is brought: a version of it is broken, or more
   * than this build knows. `problem` says why. @default there is none
   */
  readonly refusedEpoch?: number;
  /** What a stream worker computes; left out by others. */
  readonly features?: InstanceFeatures;
}

/** The features that an instance computes. */
export interface InstanceFeatures {
  /** Identities of the views, and of the features of the request itself (features/vectorLayout.ts). */
  readonly views: readonly string[];
  /** Tasks of the instance, and those of them that are still being recovered: their views are behind. */
  readonly tasks: number;
  readonly recovering: number;
  /** Records replayed in the recoveries under way. */
  readonly replayed: number;
}

export interface InstanceLease extends InstanceState {
  readonly expiresAt: number;
}

export interface Rollout {
  readonly model: string;
  readonly token: number;
  readonly holder: string;
  readonly trigger: string;
  readonly phase: string;
  readonly openedAt: number;
  readonly closedAt: number | null;
  readonly outcome: string | null;
}

/** A rollout, and the addresses (`objects://…`) in its journal and in the records of its versions. */
export interface RolloutObjects {
  readonly project: string;
  readonly model: string;
  readonly token: number;
  readonly openedAt: number;
  readonly isOpen: boolean;
  readonly journal: readonly string[];
  readonly versions: readonly {
    readonly version: number;
    readonly status: ModelVersion['status'];
    readonly uris: readonly string[];
  }[];
}

/** One use of a person's answer. */
export interface ApprovalUse {
  /** Id of the signed token, which is used up; null for an answer that nobody signed. */
  readonly jti: string | null;
  /** The attempt that uses it. */
  readonly usedBy: string;
  readonly decision: ApprovalDecision;
  /** What the decision was bound to, for the audit. */
  readonly evidence: unknown;
}

export interface UsedApproval extends Omit<ApprovalUse, 'evidence'> {
  readonly token: number;
  /** Wall clock, ms. */
  readonly decidedAt: number;
}

export interface JournalEntry {
  readonly step: string;
  readonly intent: unknown;
  readonly result: unknown;
  readonly startedAt: number;
  readonly finishedAt: number | null;
}

export interface AuditRow {
  readonly sequence: number;
  readonly model: string;
  readonly at: number;
  readonly actor: string;
  readonly action: string;
  readonly reason: string;
  readonly before: unknown;
  readonly after: unknown;
  readonly evidence: unknown;
  readonly previousHash: string;
  readonly hash: string;
}
