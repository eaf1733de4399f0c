import type { AuditResult } from './consistency.js';
import type { DeploymentRecord } from './records.js';

/** What the registry knows about a model, as programs print it. Times are ISO 8601, UTC. */
export interface ModelReport {
  readonly model: string;
  /** Null where nothing was ever deployed. */
  readonly deployment: DeploymentRecord | null;
  /** Newest first. */
  readonly versions: readonly VersionReport[];
  /** Newest first. */
  readonly rollouts: readonly RolloutReport[];
  /** The newest audit of what was served; null where there was none. */
  readonly consistency: { readonly at: string; readonly result: AuditResult } | null;
  readonly audit: {
    /** Is the chain of hashes whole? */
    readonly chain: 'intact' | 'broken';
    /** What is wrong with it. */
    readonly problem: string | null;
    readonly rows: number;
    /** The newest rows, oldest of them first. */
    readonly tail: readonly AuditReport[];
  };
}

export interface VersionReport {
  readonly version: number;
  readonly status: 'registered' | 'rejected' | 'withdrawn';
  /** Why it was rejected or withdrawn. */
  readonly reason: string | null;
  /** What it is in the deployment's head. */
  readonly role: 'champion' | 'challenger' | 'preparing' | null;
  readonly trigger: string;
  readonly createdAt: string;
  readonly trainer: string;
  readonly hyperparameters: Readonly<Record<string, unknown>>;
  readonly metrics: Readonly<Record<string, number>>;
  readonly artifact: { readonly uri: string; readonly sha256: string; readonly bytes: number };
  /** Hash of the feature service that it reads. */
  readonly service: string;
  readonly columns: readonly string[];
  /** The dataset's manifest. */
  readonly data: { readonly uri: string; readonly sha256: string };
  readonly lineage: Readonly<Record<string, unknown>>;
  /** The rollout that made it. */
  readonly token: number;
  readonly workflow: { readonly id: string; readonly runId: string } | null;
  readonly codeVersion: string;
  /** What the gates said, each with the numbers that it rests on. */
  readonly verdicts: readonly VerdictReport[];
}

/** A verdict of a gate as it was stored; see models/gates/verdict.ts for the meaning of its members. */
export interface VerdictReport {
  readonly gate: string;
  readonly kind: string;
  readonly verdict: string;
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly bound: number | null;
  readonly rows: number;
  readonly positives: number;
  readonly look: number;
  readonly reason: string;
}

export interface RolloutReport {
  readonly token: number;
  readonly trigger: string;
  readonly phase: string;
  readonly outcome: string | null;
  readonly holder: string;
  readonly openedAt: string;
  readonly closedAt: string | null;
}

export interface AuditReport {
  readonly sequence: number;
  readonly at: string;
  readonly actor: string;
  readonly action: string;
  readonly reason: string;
  readonly hash: string;
}
