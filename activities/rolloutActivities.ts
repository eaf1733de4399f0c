import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { checkRetrainInput } from '../contracts/schemas/retrainInput.js';
import { TidemillError } from '../contracts/errors.js';
import type { DeploymentRecord } from '../contracts/records.js';
import { streamTopic } from '../contracts/topics.js';
import {
  SKIPPED_STEPS,
  type AcquireAnswer,
  type Holder,
  type RetrainInput,
  type RolloutStep,
} from '../contracts/workflows.js';
import type { Verdict } from '../models/gates/verdict.js';
import type { Fence, ModelVersion } from '../stores/registry/registry.js';
import { archiveFiles } from './dataset/archiveFiles.js';
import type { BuiltDataset } from './dataset/buildDataset.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { journaled } from './journal.js';
import type { FittedModel } from './trainingActivities.js';

/** How long instances may take to load a version, and to switch. */
const FOLLOW_TIMEOUT_MS = 120_000;
/** How long the archive may take to reach the offsets of the snapshot. */
const ARCHIVE_TIMEOUT_MS = 300_000;

export interface FollowResult {
  readonly epoch: number;
  readonly instances: readonly string[];
}

/** Ownership, registration and deployment: everything about a rollout that is not data or training. */
export function createRolloutActivities(dependencies: ActivityDependencies) {
  const { registry, log, project, lifecycle } = dependencies;

  /** Waits until every live instance is there; the live set is read anew each time. */
  const awaitInstances = async (
    model: string,
    epoch: number,
    reached: 'readyEpoch' | 'activeEpoch',
    allowNone: boolean,
  ): Promise<string[]> => {
    const { minReady } = dependencies.modelOf(model);
    for (let waited = 0; waited < FOLLOW_TIMEOUT_MS; waited += 200) {
      const live = await registry.liveInstances(model);
      const there = live.filter((instance) => instance[reached] >= epoch);
      if (there.length === live.length && (there.length >= minReady || (allowNone && live.length === 0))) {
        return there.map(({ instance }) => instance);
      }
      Context.current().heartbeat({ live: live.length, there: there.length });
      await sleep(200, undefined, { signal: Context.current().cancellationSignal });
    }
    const live = await registry.liveInstances(model);
    const behind = live
      .filter((instance) => instance[reached] < epoch)
      .map(({ instance, problem }) => `${instance}${problem === null ? '' : ` (${problem})`}`);
    throw new TidemillError(
      'INSTANCES_BEHIND',
      live.length === 0
        ? `${model}: nobody is live`
        : `${model}: epoch ${epoch} is not followed by ${behind.join(', ')}`,
      { model, epoch, live: live.length, behind },
    );
  };

  const change = async (
    fence: Fence,
    step: string,
    next: Partial<Omit<DeploymentRecord, 'model' | 'epoch'>>,
    reason: string,
    evidence: unknown,
  ) => {
    const head = await registry.deployment(fence.model);
    const base = head ?? {
      mode: 'single' as const,
      champion: null,
      challenger: null,
      share: 0,
      salt: '',
      prepare: null,
    };
    const { mode, champion, challenger, share, salt, prepare } = { ...base, ...next };
    return registry.changeDeployment({
      fence,
      step,
      expectEpoch: head?.epoch ?? 0,
      next: { mode, champion, challenger, share, salt, prepare },
      actor: `rollout ${fence.token}`,
      reason,
      evidence,
    });
  };

  return withFailures({
    /** Refuses an input that is not what the workflow takes, and a model that the project does not have. */
    async validateRetrain(input: unknown): Promise<RetrainInput> {
      const checked = checkRetrainInput(input);
      dependencies.modelOf(checked.model);
      return checked;
    },

    /** Asks the model's lifecycle for the lease; where it is granted, opens the rollout and gives its token. */
    async acquireRollout(model: string, holder: Holder): Promise<{ answer: AcquireAnswer; token: number | null }> {
      const answer = await lifecycle.acquireRollout(model, holder);
      if (answer.kind !== 'granted') return { answer, token: null };
      const { token } = await registry.openRollout(model, holder.workflowId, holder.trigger);
      await journaled(registry, { model, token }, 'lease', holder, () => Promise.resolve({ token }));
      return { answer, token };
    },

    /** Fixes the offsets that the dataset is made of, and waits until the archive has them. */
    async takeSnapshot(fence: Fence): Promise<{ offsets: Record<string, Record<number, number>> }> {
      return journaled(registry, fence, 'snapshot', {}, async () => {
        const model = dependencies.modelOf(fence.model);
        const offsets: Record<string, Record<number, number>> = {};
        for (const name of new Set([model.request.name, model.label.stream.name])) {
          const topic = streamTopic(project, name);
          offsets[topic] = Object.fromEntries(
            (await log.offsets(topic)).map(({ partition, high }) => [partition, high]),
          );
        }
        for (let waited = 0; waited < ARCHIVE_TIMEOUT_MS; waited += 1_000) {
          const archived = await archiveFiles(log, project);
          const isCovered = Object.entries(offsets).every(([topic, partitions]) =>
            Object.entries(partitions).every(
              ([partition, high]) => (archived.get(topic)?.upTo[Number(partition)] ?? 0) >= high,
            ),
          );
          if (isCovered) return { offsets };
          Context.current().heartbeat();
          await sleep(1_000, undefined, { signal: Context.current().cancellationSignal });
        }
        throw new TidemillError(
          'ARCHIVE_BEHIND',
          `${fence.model}: the archive has not reached the end of the streams`,
          { offsets },
        );
      });
    },

    /** Writes down the steps that this version leaves out. */
    async skipSteps(fence: Fence, steps: readonly RolloutStep[]): Promise<void> {
      for (const step of steps.filter((each) => SKIPPED_STEPS.includes(each))) {
        await journaled(registry, fence, step, {}, () => Promise.resolve({ skipped: true }));
      }
    },

    async registerVersion(
      fence: Fence,
      release: FittedModel,
      dataset: BuiltDataset,
      trigger: string,
      metrics: Record<string, number>,
      verdicts: readonly Verdict[],
    ): Promise<number> {
      const model = dependencies.modelOf(fence.model);
      const info = Context.current().info;
      const version = await journaled(
        registry,
        fence,
        'register',
        { sha256: release.artifact.sha256 },
        async (): Promise<ModelVersion> =>
          registry.registerVersion(
            {
              model: fence.model,
              artifact: release.artifact,
              service: model.service.hash,
              columns: dataset.columns,
              dataset: dataset.manifest,
              trainer: model.trainer.kind,
              hyperparameters: model.trainer,
              codeVersion: dependencies.codeVersion,
              workflow:
                info.workflowExecution === undefined
                  ? null
                  : { id: info.workflowExecution.workflowId, runId: info.workflowExecution.runId },
              trigger,
              metrics,
              lineage: {
                views: Object.fromEntries(model.service.inputs.map(({ view }) => [view.name, view.hash])),
                split: dataset.split,
                rows: dataset.rows,
                asServed: dataset.asServed,
                parity: release.parity,
              },
            },
            fence,
          ),
      );
      for (const verdict of verdicts)
        await registry.storeEvidence(fence, version.version, `${verdict.kind}/${verdict.gate}`, verdict);
      return version.version;
    },

    /** Has every live instance load the version; users see nothing of it. */
    async prepareVersion(fence: Fence, version: number, allowNoInstances: boolean): Promise<FollowResult> {
      return journaled(registry, fence, 'prepare', { version }, async () => {
        const { epoch } = await change(fence, 'prepare', { prepare: version }, `prepare version ${version}`, null);
        return { epoch, instances: await awaitInstances(fence.model, epoch, 'readyEpoch', allowNoInstances) };
      });
    },

    /** The commit point: one transaction moves the alias. Afterwards nothing is undone for one bad instance. */
    async commitVersion(fence: Fence, version: number, verdicts: readonly Verdict[]): Promise<number> {
      return journaled(registry, fence, 'commit', { version }, async () => {
        const { epoch } = await change(
          fence,
          'commit',
          { champion: version, challenger: null, prepare: null },
          `promote version ${version}`,
          verdicts,
        );
        return epoch;
      });
    },

    async awaitActive(fence: Fence, epoch: number, allowNoInstances: boolean): Promise<string[]> {
      return awaitInstances(fence.model, epoch, 'activeEpoch', allowNoInstances);
    },

    /** Takes back what a rollout did before its commit point, as far as the journal says that it did it. */
    async compensateRollout(fence: Fence, reason: string): Promise<void> {
      const journal = await registry.journal(fence.model, fence.token);
      const prepared = journal.find(({ step }) => step === 'prepare');
      const registered = journal.find(({ step }) => step === 'register')?.result as ModelVersion | null | undefined;
      const head = await registry.deployment(fence.model);
      if (prepared !== undefined && head !== null && head.prepare !== null)
        await change(fence, 'abort', { prepare: null }, reason, null);
      if (registered !== undefined && registered !== null)
        await registry.rejectVersion(fence.model, registered.version, reason, fence);
    },

    /** Ends the rollout, and tells the lifecycle. */
    async closeRollout(fence: Fence, workflowId: string, outcome: string): Promise<void> {
      await registry.closeRollout(fence, outcome);
      const model = dependencies.modelOf(fence.model);
      const at = await registry.watermark(streamTopic(project, model.request.name));
      await lifecycle.rolloutClosed(fence.model, { workflowId, outcome, at });
    },
  });
}
