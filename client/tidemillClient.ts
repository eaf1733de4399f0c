import type { BackfillInput, BackfillResult } from '../contracts/features.js';
import type { HealInput, HealResult } from '../contracts/healing.js';
import { ServiceError, WithStartWorkflowOperation, WorkflowIdConflictPolicy } from '@temporalio/client';
import type { Workflow } from '@temporalio/common';
import type { ApprovalAnswer } from '../contracts/approval.js';
import type { AuditInput, AuditResult } from '../contracts/consistency.js';
import { isTidemillError, TidemillError } from '../contracts/errors.js';
import {
  UPDATE_APPROVE,
  UPDATE_PAUSE,
  UPDATE_REJECT,
  UPDATE_RESUME,
  type ApprovalDecision,
  type RollbackResult,
} from '../contracts/rollout.js';
import {
  lifecycleId,
  lifecycleQueue,
  QUERY_STATUS,
  UPDATE_RETRAIN,
  type LifecycleStatus,
  type Paused,
  type RetrainInput,
  type RetrainResult,
  type RetrainStatus,
} from '../contracts/workflows.js';
import { coded } from './codedErrors.js';
import type { FollowChange } from './followWorkflow.js';
import { LifecycleClient } from './lifecycleClient.js';

export interface TidemillClientOptions {
  /** Project id, as the lifecycle worker has it: TIDEMILL_PROJECT_ID. */
  readonly project: string;
  /** host:port of the Temporal frontend. @default '127.0.0.1:7233' */
  readonly address?: string;
  /** Temporal namespace. @default 'default' */
  readonly namespace?: string;
  /** How long a lifecycle worker may take to answer before WORKER_SILENT, ms. @default 30_000 */
  readonly answerMs?: number;
}

/** What is asked of a retrain; all optional. */
export interface RetrainRequest {
  /** Shown with the rollout, and kept. */
  readonly reason?: string;
  /** Who asks: this person cannot approve the outcome. */
  readonly requestedBy?: string;
  /** Take the place of a rollout that is under way, as long as it has not committed. @default false */
  readonly supersede?: boolean;
  /** Promote although no instance is live. @default false */
  readonly allowNoInstances?: boolean;
}

export interface RollbackRequest {
  /** Kept with the version that is left, which is withdrawn. */
  readonly reason: string;
  /** Version to go back to. @default the newest former champion that may serve */
  readonly to?: number;
  readonly requestedBy?: string;
}

/** Which requests are audited, and how many of them; see AuditInput. */
export type AuditRequest = Omit<AuditInput, 'model'>;

/** What a model's lifecycle is doing. */
export interface ModelStatus extends LifecycleStatus {
  /** The rollout under way, where it is a retrain; else null. */
  readonly retrain: RetrainStatus | null;
}

export interface WatchOptions {
  /** Between two looks, ms. @default 500 */
  readonly pollMs?: number;
  /** Ends the watching, not the workflow. */
  readonly signal?: AbortSignal;
}

/**
 * Starts, watches and steers rollouts from another service. Every error is a TidemillError with the code under which the
 * command line and the API report it, whatever way it took through Temporal.
 *
 * @example
 * const tidemill = await TidemillClient.connect({ project: 'fraud-demo' });
 * try {
 *   const { workflowId } = await tidemill.requestRetrain('fraud', { reason: 'new terminals', requestedBy: 'olga' });
 *   for await (const change of tidemill.watch({ workflowId })) {
 *     if (change.kind === 'step') console.log(`${change.step}: ${change.result}`);
 *   }
 *   const result = await tidemill.retrainResult(workflowId);
 *   if (result.outcome === 'promoted') console.log(`version ${result.version} serves`);
 * } catch (error) {
 *   if (isTidemillError(error, 'TEMPORAL_UNAVAILABLE')) console.error(error.action);
 *   else throw error;
 * } finally {
 *   await tidemill.close();
 * }
 */
export class TidemillClient {
  private constructor(
    private readonly lifecycle: LifecycleClient,
    private readonly answerMs: number,
  ) {}

  /** @throws TidemillError TEMPORAL_UNAVAILABLE */
  static async connect(options: TidemillClientOptions): Promise<TidemillClient> {
    const { project, address = '127.0.0.1:7233', namespace = 'default', answerMs = 30_000 } = options;
    return new TidemillClient(await LifecycleClient.connect({ address, namespace, project }), answerMs);
  }

  /**
   * Starts a retrain, and with it a rollout; resolves once it has begun.
   *
   * @throws TidemillError DEFINITION_INVALID for a model that the project does not have, INPUT_INVALID, WORKER_SILENT,
   *   TEMPORAL_UNAVAILABLE
   */
  async requestRetrain(model: string, request: RetrainRequest = {}): Promise<{ readonly workflowId: string }> {
    const { reason, ...rest } = request;
    const input: Omit<RetrainInput, 'model'> = {
      ...rest,
      ...(reason === undefined ? {} : { trigger: { kind: 'manual', reason } }),
    };
    return this.update(model, UPDATE_RETRAIN, input);
  }

  /**
   * Waits for the end of a retrain. A rollout that does not promote is a result, not an error.
   *
   * @throws TidemillError WORKFLOW_NOT_FOUND, WORKFLOW_FAILED, TEMPORAL_UNAVAILABLE
   */
  async retrainResult(workflowId: string): Promise<RetrainResult> {
    return this.lifecycle.retrainResult(workflowId);
  }

  /**
   * Approves what waits for it.
   *
   * @param answer a signed token; or, where the project has no issuer, who approves which version on which evidence.
   * @throws TidemillError APPROVAL_INVALID (its message says why), ISSUER_UNAVAILABLE, INPUT_INVALID, WORKFLOW_NOT_FOUND
   */
  async approve(model: string, answer: ApprovalAnswer): Promise<ApprovalDecision> {
    return this.answer(model, UPDATE_APPROVE, answer);
  }

  /** Rejects what waits for an approval: the rollout ends, nothing has changed. Throws as `approve` does. */
  async reject(model: string, answer: ApprovalAnswer): Promise<ApprovalDecision> {
    return this.answer(model, UPDATE_REJECT, answer);
  }

  /**
   * The drift cases of a model, and who rolls it out.
   *
   * @throws TidemillError WORKFLOW_NOT_FOUND for a model that nothing was ever asked of, WORKER_SILENT,
   *   TEMPORAL_UNAVAILABLE
   */
  async status(model: string): Promise<ModelStatus> {
    const status = await this.query<LifecycleStatus>(lifecycleId(this.lifecycle.project, model));
    const holder = status.rollout;
    const isRetrain = holder !== null && holder.trigger !== 'rollback' && holder.trigger !== 'recovery';
    return { ...status, retrain: isRetrain ? await this.query<RetrainStatus>(holder.workflowId) : null };
  }

  /**
   * Changes as they happen: of one workflow to its end, or of a model's lifecycle for as long as it is watched. What was
   * finished before comes first.
   *
   * @throws TidemillError WORKFLOW_NOT_FOUND; TEMPORAL_UNAVAILABLE after a minute without an answer.
   */
  watch(
    what: { readonly workflowId: string } | { readonly model: string },
    options: WatchOptions = {},
  ): AsyncIterable<FollowChange> {
    const workflowId = 'workflowId' in what ? what.workflowId : lifecycleId(this.lifecycle.project, what.model);
    return this.lifecycle.follow(workflowId, options);
  }

  /**
   * Goes back to a former champion; resolves once every live instance serves it. A rollout under way is given up.
   *
   * @throws TidemillError ROLLBACK_IMPOSSIBLE, DEFINITION_INVALID, INPUT_INVALID, TEMPORAL_UNAVAILABLE
   */
  async rollback(model: string, request: RollbackRequest): Promise<RollbackResult> {
    return this.rollbackResult(await this.startRollback(model, request));
  }

  /** Waits for the end of a rollback. Throws as `rollback` does. */
  async rollbackResult(workflowId: string): Promise<RollbackResult> {
    return this.lifecycle.rollbackResult(workflowId);
  }

  /** Starts a rollback and gives its workflow id, to be watched. */
  async startRollback(model: string, request: RollbackRequest): Promise<string> {
    return this.lifecycle.startRollback({ model, ...request });
  }

  /**
   * Starts the computation of a view's history and gives its workflow id, to be watched.
   *
   * @throws TidemillError TEMPORAL_UNAVAILABLE; the workflow fails with INPUT_INVALID or DEFINITION_INVALID
   */
  async startBackfill(input: BackfillInput): Promise<string> {
    return this.lifecycle.startBackfill(input);
  }

  /** Waits for the end of a backfill. @throws TidemillError INPUT_INVALID, DEFINITION_INVALID, ARCHIVE_BEHIND */
  async backfillResult(workflowId: string): Promise<BackfillResult> {
    return this.lifecycle.backfillResult(workflowId);
  }

  /** Starts the healing of a view's online store and gives its workflow id, to be watched. */
  async startHeal(input: HealInput): Promise<string> {
    return this.lifecycle.startHeal(input);
  }

  /** Waits for the end of a healing. @throws TidemillError INPUT_INVALID, ONLINE_INCOMPLETE, CORRECTIONS_WAITING */
  async healResult(workflowId: string): Promise<HealResult> {
    return this.lifecycle.healResult(workflowId);
  }

  /**
   * Holds a sample of what was served against what the features say; resolves with what was found. An audit that finds
   * differences is a result, not an error.
   *
   * @throws TidemillError DEFINITION_INVALID, INPUT_INVALID, OFFSET_LOST, AUDIT_TOO_LARGE, TEMPORAL_UNAVAILABLE
   */
  async audit(model: string, request: AuditRequest = {}): Promise<AuditResult> {
    return this.auditResult(await this.startAudit(model, request));
  }

  /** Starts an audit and gives its workflow id, to be watched; where the same range is being audited, the id of that one. */
  async startAudit(model: string, request: AuditRequest = {}): Promise<string> {
    return this.lifecycle.startAudit({ model, ...request });
  }

  /** Waits for the end of an audit. Throws as `audit` does. */
  async auditResult(workflowId: string): Promise<AuditResult> {
    return this.lifecycle.auditResult(workflowId);
  }

  /**
   * From now on nothing starts by itself; people may still roll out, and what is under way goes on.
   *
   * @throws TidemillError DEFINITION_INVALID, WORKER_SILENT, TEMPORAL_UNAVAILABLE
   */
  async pause(model: string, paused: Paused): Promise<void> {
    await this.update(model, UPDATE_PAUSE, paused);
  }

  /** Ends a pause. @throws TidemillError DEFINITION_INVALID, WORKER_SILENT, TEMPORAL_UNAVAILABLE */
  async resume(model: string, request: { readonly by: string }): Promise<void> {
    await this.update(model, UPDATE_RESUME, request);
  }

  async close(): Promise<void> {
    await this.lifecycle.close();
  }

  /** An answer starts no lifecycle: where there is none, nothing waits. */
  private async answer(model: string, name: string, answer: ApprovalAnswer): Promise<ApprovalDecision> {
    const { temporal, project } = this.lifecycle;
    const handle = temporal.workflow.getHandle(lifecycleId(project, model));
    return this.inTime(() => handle.executeUpdate<ApprovalDecision, [ApprovalAnswer]>(name, { args: [answer] }));
  }

  private async update<T>(model: string, name: string, argument: object): Promise<T> {
    const { temporal, project } = this.lifecycle;
    const startWorkflowOperation = new WithStartWorkflowOperation('modelLifecycle', {
      workflowId: lifecycleId(project, model),
      taskQueue: lifecycleQueue(project),
      args: [{ model }],
      workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
    });
    return this.inTime(() =>
      temporal.workflow.executeUpdateWithStart<Workflow, T, [object]>(name, {
        startWorkflowOperation,
        args: [argument],
      }),
    );
  }

  private async query<T>(workflowId: string): Promise<T> {
    const handle = this.lifecycle.temporal.workflow.getHandle(workflowId);
    return this.inTime(() => handle.query<T>(QUERY_STATUS));
  }

  /** The server answers at once: what takes longer is a worker that is not there. */
  private async inTime<T>(act: () => Promise<T>): Promise<T> {
    const deadline = Date.now() + this.answerMs;
    try {
      return await coded(() => this.lifecycle.temporal.withDeadline(deadline, act));
    } catch (error) {
      const isOfServer = isTidemillError(error, 'TEMPORAL_UNAVAILABLE') || error instanceof ServiceError;
      if (isOfServer && Date.now() >= deadline)
        throw new TidemillError('WORKER_SILENT', 'no lifecycle worker answered in time', {}, { cause: error });
      throw error;
    }
  }
}
