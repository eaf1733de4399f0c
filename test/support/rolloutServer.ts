import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import {
  createApprovalActivities,
  createApprovalVerifier,
  createDeploymentActivities,
  createFeatureActivities,
  createRecoveryActivities,
  createRolloutActivities,
  type ActivityDependencies,
} from '../../activities/index.js';
import { LifecycleClient } from '../../client/lifecycleClient.js';
import { signApproval, type ApprovalToSign } from '../../client/localIssuer.js';
import { TidemillClient } from '../../client/tidemillClient.js';
import { approvalIssuersFrom } from '../../contracts/approvalIssuer.js';
import { DAY_MS } from '../../contracts/duration.js';
import type { ApprovalRequest, RolloutFence } from '../../contracts/rollout.js';
import { lifecycleId } from '../../contracts/workflows.js';
import { fraud } from '../../examples/fraud/project.js';
import { startTemporal, type StartedTemporal } from '../../infra/temporal.js';
import type { CompiledModel } from '../../models/definition.js';
import { defineProject, modelOf } from '../../models/project.js';
import { createMemoryLog } from '../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../stores/objects/diskObjectStore.js';
import type { Registry } from '../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../stores/registry/sqliteRegistry.js';
import { claimsOf, PASSED } from './approvals.js';
import { serveLifecycle, type TestLifecycle } from './lifecycleWorkers.js';

const project = defineProject('rollouts', { models: [fraud] });
const NO_WATCHES: CompiledModel['rollout'] = { shadow: null, canary: null, bakeMs: null, probation: null };

/** Labels come days later than this. */
const TOO_SHORT: CompiledModel['rollout'] = { ...NO_WATCHES, probation: { positives: 10, atMostMs: 1 } };
const BAKED: CompiledModel['rollout'] = { ...NO_WATCHES, bakeMs: 1 };
const SHADOWED: CompiledModel['rollout'] = { ...NO_WATCHES, shadow: { requests: 1, atMostMs: DAY_MS } };
/** Models like the fraud model, and what they ask for before and after a promotion. */
const LIKE_FRAUD = new Map<string, Pick<CompiledModel, 'approval' | 'rollout'>>([
  ['fraud', { approval: 'human', rollout: NO_WATCHES }],
  ['automatic', { approval: 'automatic', rollout: NO_WATCHES }],
  ['never-promoted', { approval: 'automatic', rollout: NO_WATCHES }],
  ['baked', { approval: 'automatic', rollout: BAKED }],
  ['unreachable', { approval: 'automatic', rollout: TOO_SHORT }],
  ...['patient-1', 'patient-2', 'patient-3'].map(
    (name) => [name, { approval: 'automatic', rollout: SHADOWED }] as const,
  ),
]);

/** The fraud model, promoted only by a person; and some like it that are promoted without. One is watched, and found bad. */
function testModelOf(name: string): CompiledModel {
  const like = LIKE_FRAUD.get(name);
  return { ...modelOf(project, like === undefined ? name : 'fraud'), name, ...like };
}

export type RolloutServerOptions = Pick<TestLifecycle, 'slots' | 'workflowBundle'>;

/**
 * A Temporal server and a lifecycle worker whose rollouts own the registry, the deployment and approvals as always, but
 * train nothing: what they register is made up, so that a rollout takes a second.
 */
export class RolloutServer {
  readonly project = 'rollouts';
  private trained = 0;
  /** Attempts end when they come to this point, `rollback/after-effect`, and are repeated; null for none. */
  failAt: string | null = null;
  /** SHA-256 of every artifact that is trained; null where each has its own. */
  offered: string | null = null;

  /** Models whose evidence is waited for: those called `patient`. */
  readonly watched = new Set<string>();

  private constructor(
    readonly home: string,
    readonly temporal: StartedTemporal,
    readonly registry: Registry,
    readonly lifecycle: LifecycleClient,
    readonly client: TidemillClient,
    private readonly connection: NativeConnection,
  ) {}

  private served: { stop(): Promise<void> } | null = null;

  static async start(options: RolloutServerOptions = {}): Promise<RolloutServer> {
    const home = await mkdtemp(join(tmpdir(), 'tidemill-rollouts-'));
    const temporal = await startTemporal({ directory: join(home, 'temporal') });
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    const registry = await openSqliteRegistry({ file: join(home, 'registry.db'), project: 'rollouts' });
    const at = { address: temporal.address, namespace: 'default', project: 'rollouts' };
    const server = new RolloutServer(
      home,
      temporal,
      registry,
      await LifecycleClient.connect(at),
      await TidemillClient.connect(at),
      await NativeConnection.connect({ address: temporal.address }),
    );
    await server.serve(options);
    return server;
  }

  private async serve(options: RolloutServerOptions): Promise<void> {
    const { registry, lifecycle, home, connection } = this;
    const dependencies: Partial<ActivityDependencies> = {
      project: this.project,
      modelOf: testModelOf,
      registry,
      lifecycle,
      objects: openDiskObjectStore(join(home, 'objects')),
      log: createMemoryLog({ clock: Date.now }),
      codeVersion: 'test',
      reach: (point) => {
        if (point === this.failAt) throw new Error(`held at ${point}`);
      },
      approvals: createApprovalVerifier(approvalIssuersFrom({ TIDEMILL_HOME: home }), { project: this.project }),
    };
    const all = dependencies as ActivityDependencies;
    const activities = {
      ...createRolloutActivities(all),
      ...createDeploymentActivities(all),
      ...createFeatureActivities(all),
      ...createApprovalActivities(all),
      ...createRecoveryActivities(all),
      ...this.madeUp(),
    };
    this.served = await serveLifecycle({ connection, project: this.project, activities, ...options });
  }

  /** What would need data: answers of a rollout that goes well. */
  private madeUp() {
    const dataset = {
      manifest: { uri: 'objects://manifests/1.json', sha256: 'd'.repeat(64) },
      rows: 10,
      positives: 2,
      asServed: 0,
      columns: ['amount'],
      split: { train: [0, 1], test: [1, 2], release: [0, 2] },
    };
    const fit = (): object => ({
      artifact: {
        uri: 'objects://models/1',
        sha256: this.offered ?? String(++this.trained).padStart(64, '0'),
        bytes: 1,
      },
      rows: 10,
      positives: 2,
      parity: { rows: 10, maxDifference: 0 },
    });
    return {
      takeSnapshot: async () => ({ offsets: { transactions: {} } }),
      buildDataset: async () => dataset,
      judgeDataset: async () => ({ allowed: true, verdicts: [], metrics: {} }),
      fitEvaluation: async () => fit(),
      fitRelease: async () => fit(),
      judgeModel: async () => ({ allowed: true, verdicts: [PASSED], metrics: { auc: 0.9123 } }),
      beginWatch: async () => ({ epoch: 0, from: {}, since: null, finished: null }),
      awaitEvidence: async ({ model }: RolloutFence) => {
        if (model.startsWith('patient')) await this.untilCancelled(model);
        return { decision: 'fail', seen: 1, verdicts: [], reason: 'errors' };
      },
      finishWatch: async () => undefined,
    };
  }

  /** Evidence that never comes. */
  private async untilCancelled(model: string): Promise<void> {
    const context = Context.current();
    this.watched.add(model);
    for (;;) {
      context.heartbeat();
      await context.sleep(100);
    }
  }

  /** Starts a retrain of the model that needs an approval, and gives what waits for it. */
  async waiting(requestedBy = 'olga'): Promise<{ readonly workflowId: string; readonly request: ApprovalRequest }> {
    const { workflowId } = await this.client.requestRetrain('fraud', { requestedBy, allowNoInstances: true });
    for (;;) {
      const { phase, approval } = await this.lifecycle.retrainStatus(workflowId);
      if (approval !== null && approval !== undefined) return { workflowId, request: approval };
      if (phase === 'done') throw new Error(`${workflowId} was done before it waited for an approval`);
      await sleep(50);
    }
  }

  /**
   * A token that answers what waits, signed with the key of `home` as ada.
   *
   * @param changed claims that are to differ from what waits.
   * @param more how it is to be signed otherwise.
   */
  sign(
    request: ApprovalRequest,
    changed: Parameters<typeof claimsOf>[1] = {},
    more: Partial<ApprovalToSign> = {},
  ): Promise<string> {
    const { home, project } = this;
    return signApproval(home, { project, subject: 'ada', binding: claimsOf(request, changed), ...more });
  }

  /** Waits until nobody rolls the model out: the next retrain is granted at once. */
  async atRest(model: string): Promise<void> {
    if (!(await this.lifecycle.isRunning(lifecycleId(this.project, model)))) return;
    for (;;) {
      const { rollout, rollbacks = [] } = await this.client.status(model);
      if (rollout === null && rollbacks.length === 0) return;
      await sleep(50);
    }
  }

  /** The environment of a process that talks to this server. */
  get env(): NodeJS.ProcessEnv {
    return {
      ...process.env,
      TIDEMILL_HOME: this.home,
      TIDEMILL_TEMPORAL: this.temporal.address,
      TIDEMILL_PROJECT_ID: this.project,
    };
  }

  async stop(): Promise<void> {
    await this.served?.stop();
    await this.client.close();
    await this.lifecycle.close();
    await this.connection.close();
    await this.registry.close();
    await this.temporal.stop();
    await rm(this.home, { recursive: true });
  }
}
