import type { RollbackBegun } from '../contracts/rollout.js';
import type { AcquireAnswer, DriftSignal, Holder, RetrainResult, RolloutClosed } from '../contracts/workflows.js';
import type { CompiledModel } from '../models/definition.js';
import type { CompiledView } from '../features/compiledView.js';
import type { Log } from '../stores/log/log.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { OfflineStore } from '../stores/offline/offlineStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import type { Registry } from '../stores/registry/registry.js';
import type { ApprovalVerifier } from './approvals/approvalVerifier.js';

/** How activities talk to the lifecycle workflows; given by the process, so that activities know no client. */
export interface LifecyclePort {
  acquireRollout(model: string, holder: Holder): Promise<AcquireAnswer>;
  rolloutClosed(model: string, closed: RolloutClosed): Promise<void>;
  /** Nobody else rolls out until it has closed, and where it ends in its midst it is finished. */
  rollbackBegun(model: string, begun: RollbackBegun): Promise<void>;
  /** Opens a drift case, or adds to the one that is open. */
  signalDrift(model: string, drift: DriftSignal): Promise<void>;
  /** Does this workflow, whichever run of it, still run? */
  isRunning(workflowId: string): Promise<boolean>;
  /** Result of a workflow that has ended; rejects with what it failed with. */
  retrainResult(workflowId: string): Promise<RetrainResult>;
}

/** What the activities of a project work with. */
export interface ActivityDependencies {
  readonly project: string;
  /** @throws TidemillError DEFINITION_INVALID for a model that the project does not have. */
  readonly modelOf: (name: string) => CompiledModel;
  /** @throws TidemillError DEFINITION_INVALID for a view that no model of the project reads. */
  readonly viewOf: (name: string) => CompiledView;
  readonly log: Log;
  readonly registry: Registry;
  readonly objects: ObjectStore;
  readonly offline: OfflineStore;
  /** Opened when it is first asked for. @throws TidemillError ONLINE_UNAVAILABLE */
  readonly online: () => OnlineStore;
  readonly lifecycle: LifecyclePort;
  /** Whose signatures approve. */
  readonly approvals: ApprovalVerifier;
  /** Path of XGBoost's library, fetched where it is missing. */
  readonly xgboostLibrary: () => Promise<string>;
  readonly codeVersion: string;
  /** Chaos tests end the process at a named point, `commit/after-effect`. */
  readonly reach?: (point: string) => void;
}
