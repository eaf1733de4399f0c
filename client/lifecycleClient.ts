import { Client, Connection, WithStartWorkflowOperation, WorkflowIdConflictPolicy } from '@temporalio/client';
import { WorkflowNotFoundError, type Workflow } from '@temporalio/common';
import { backfillId, type BackfillInput, type BackfillResult } from '../contracts/features.js';
import { healId, type HealInput, type HealResult } from '../contracts/healing.js';
import { auditId, auditRange, type AuditInput, type AuditResult } from '../contracts/consistency.js';
import {
  rollbackId,
  SIGNAL_ROLLBACK,
  type RollbackBegun,
  type RollbackInput,
  type RollbackResult,
} from '../contracts/rollout.js';
import {
  lifecycleId,
  lifecycleQueue,
  QUERY_STATUS,
  retrainId,
  SIGNAL_CLOSED,
  SIGNAL_DRIFT,
  SIGNAL_GRANTED,
  UPDATE_ACQUIRE,
  type AcquireAnswer,
  type DriftSignal,
  type Holder,
  type LifecycleInput,
  type LifecycleStatus,
  type RetrainInput,
  type RetrainResult,
  type RetrainStatus,
  type RolloutClosed,
} from '../contracts/workflows.js';
import { coded } from './codedErrors.js';
import { followedWorkflow } from './followedWorkflow.js';
import { followWorkflow, type FollowChange } from './followWorkflow.js';
import { reached } from './reached.js';

/** Talks to the lifecycle workflows of one project. */
export class LifecycleClient {
  private constructor(
    private readonly connection: Connection,
    readonly temporal: Client,
    readonly project: string,
  ) {}

  /** @throws TidemillError TEMPORAL_UNAVAILABLE */
  static async connect(options: {
    readonly address: string;
    readonly namespace: string;
    readonly project: string;
  }): Promise<LifecycleClient> {
    const connection = await reached(
      () => Connection.connect({ address: options.address, connectTimeout: '10 seconds' }),
      `Temporal at ${options.address}`,
    );
    return new LifecycleClient(connection, new Client({ connection, namespace: options.namespace }), options.project);
  }

  /** Hands a finding to the model's lifecycle, which is started where it does not run. */
  async signalDrift(model: string, drift: DriftSignal): Promise<void> {
    await this.tellLifecycle(model, SIGNAL_DRIFT, drift);
  }

  /** Asks the model's lifecycle for the lease of a rollout; answered at once. */
  async acquireRollout(model: string, holder: Holder): Promise<AcquireAnswer> {
    return reached(() =>
      this.temporal.workflow.executeUpdateWithStart<Workflow, AcquireAnswer, [Holder]>(UPDATE_ACQUIRE, {
        startWorkflowOperation: new WithStartWorkflowOperation('modelLifecycle', {
          ...this.lifecycleStart(model),
          workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
        }),
        args: [holder],
      }),
    );
  }

  async rolloutClosed(model: string, closed: RolloutClosed): Promise<void> {
    await this.tellLifecycle(model, SIGNAL_CLOSED, closed);
  }

  async rollbackBegun(model: string, begun: RollbackBegun): Promise<void> {
    await this.tellLifecycle(model, SIGNAL_ROLLBACK, begun);
  }

  private async tellLifecycle(model: string, signal: string, told: unknown): Promise<void> {
    await reached(() =>
      this.temporal.workflow.signalWithStart('modelLifecycle', {
        ...this.lifecycleStart(model),
        signal,
        signalArgs: [told],
      }),
    );
  }

  async grantRollout(workflowId: string): Promise<void> {
    await reached(() => this.temporal.workflow.getHandle(workflowId).signal(SIGNAL_GRANTED));
  }

  async isRunning(workflowId: string): Promise<boolean> {
    const description = await reached(async () => {
      try {
        return await this.temporal.workflow.getHandle(workflowId).describe();
      } catch (error) {
        // Retention has removed it: it ended long ago.
        if (error instanceof WorkflowNotFoundError) return null;
        throw error;
      }
    });
    return description?.status.name === 'RUNNING';
  }

  /** Starts `retrainModel` and gives its id. */
  async startRetrain(input: RetrainInput, id = `${input.trigger?.kind ?? 'manual'}-${Date.now()}`): Promise<string> {
    const workflowId = retrainId(this.project, input.model, id);
    await reached(() =>
      this.temporal.workflow.start('retrainModel', {
        workflowId,
        taskQueue: lifecycleQueue(this.project),
        args: [input],
      }),
    );
    return workflowId;
  }

  /** Starts `rollbackModel` and gives its id. */
  async startRollback(input: RollbackInput, id = `manual-${Date.now()}`): Promise<string> {
    const workflowId = rollbackId(this.project, input.model, id);
    await reached(() =>
      this.temporal.workflow.start('rollbackModel', {
        workflowId,
        taskQueue: lifecycleQueue(this.project),
        args: [input],
      }),
    );
    return workflowId;
  }

  /**
   * Starts `backfillFeatures` and gives its id; where the same backfill runs, gives that one's.
   *
   * @throws TidemillError TEMPORAL_UNAVAILABLE
   */
  async startBackfill(input: BackfillInput): Promise<string> {
    const workflowId = backfillId(this.project, input);
    await reached(() =>
      this.temporal.workflow.start('backfillFeatures', {
        workflowId,
        taskQueue: lifecycleQueue(this.project),
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
        args: [input],
      }),
    );
    return workflowId;
  }

  /** Waits for the end of a backfill. */
  async backfillResult(workflowId: string): Promise<BackfillResult> {
    return (await coded(() => this.temporal.workflow.getHandle(workflowId).result())) as BackfillResult;
  }

  /** Starts `healFeatures` and gives its id; where a healing of the view runs, gives that one's. */
  async startHeal(input: HealInput): Promise<string> {
    const workflowId = healId(this.project, input);
    await reached(() =>
      this.temporal.workflow.start('healFeatures', {
        workflowId,
        taskQueue: lifecycleQueue(this.project),
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
        args: [input],
      }),
    );
    return workflowId;
  }

  /** Waits for the end of a healing. */
  async healResult(workflowId: string): Promise<HealResult> {
    return (await coded(() => this.temporal.workflow.getHandle(workflowId).result())) as HealResult;
  }

  /** Waits for the end of a rollback. */
  async rollbackResult(workflowId: string): Promise<RollbackResult> {
    return (await coded(() => this.temporal.workflow.getHandle(workflowId).result())) as RollbackResult;
  }

  /** Starts `consistencyAudit` and gives its id. */
  async startAudit(input: AuditInput, id = auditRange(input) ?? `latest-${Date.now()}`): Promise<string> {
    const workflowId = auditId(this.project, input.model, id);
    await reached(() =>
      this.temporal.workflow.start('consistencyAudit', {
        workflowId,
        taskQueue: lifecycleQueue(this.project),
        args: [input],
        // The audit of a range that is being audited is that one.
        workflowIdConflictPolicy: WorkflowIdConflictPolicy.USE_EXISTING,
      }),
    );
    return workflowId;
  }

  /** Waits for the end of an audit. */
  async auditResult(workflowId: string): Promise<AuditResult> {
    return (await coded(() => this.temporal.workflow.getHandle(workflowId).result())) as AuditResult;
  }

  /** Waits for the end of a retrain. */
  async retrainResult(workflowId: string): Promise<RetrainResult> {
    return (await coded(() => this.temporal.workflow.getHandle(workflowId).result())) as RetrainResult;
  }

  async retrainStatus(workflowId: string): Promise<RetrainStatus> {
    return this.temporal.workflow.getHandle(workflowId).query<RetrainStatus>(QUERY_STATUS);
  }

  async lifecycleStatus(model: string): Promise<LifecycleStatus> {
    return this.temporal.workflow.getHandle(lifecycleId(this.project, model)).query<LifecycleStatus>(QUERY_STATUS);
  }

  /**
   * Follows any workflow, of this project or not, from wherever it is to its end; see followWorkflow.
   *
   * @throws TidemillError WORKFLOW_NOT_FOUND, TEMPORAL_UNAVAILABLE
   */
  follow(
    workflowId: string,
    options: { readonly pollMs?: number; readonly signal?: AbortSignal } = {},
  ): AsyncIterable<FollowChange> {
    return followWorkflow(followedWorkflow(this.temporal, workflowId), options);
  }

  private lifecycleStart(model: string): { workflowId: string; taskQueue: string; args: [LifecycleInput] } {
    return { workflowId: lifecycleId(this.project, model), taskQueue: lifecycleQueue(this.project), args: [{ model }] };
  }

  async close(): Promise<void> {
    await this.connection.close();
  }
}
