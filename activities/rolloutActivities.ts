import { setTimeout as sleep } from 'node:timers/promises';
import { Context } from '@temporalio/activity';
import { checkRetrainInput } from '../contracts/schemas/retrainInput.js';
import { TidemillError } from '../contracts/errors.js';
import { streamTopic } from '../contracts/topics.js';
import type { RolloutPlan, RolloutStep } from '../contracts/rollout.js';
import type { AcquireAnswer, Holder, RetrainInput } from '../contracts/workflows.js';
import type { Verdict } from '../models/gates/verdict.js';
import type { Fence, ModelVersion } from '../stores/registry/registry.js';
import { archiveFiles } from './dataset/archiveFiles.js';
import type { BuiltDataset } from './dataset/buildDataset.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { journaled } from './journal.js';
import type { FittedModel } from './trainingActivities.js';

/** How long the archive may take to reach the offsets of the snapshot. */
const ARCHIVE_TIMEOUT_MS = 300_000;

/** Ownership, plan and registration: everything about a rollout that is not data, training or deployment. */
export function createRolloutActivities(dependencies: ActivityDependencies) {
  const { registry, log, project, lifecycle } = dependencies;

  return withFailures({
    /** Refuses an input that is not what the workflow takes, and a model that the project does not have. */
    async validateRetrain(input: unknown): Promise<RetrainInput> {
      const checked = checkRetrainInput(input);
      dependencies.modelOf(checked.model);
      return checked;
    },

    /** Refuses a model that the project does not have. */
    async validateModel(model: string): Promise<void> {
      dependencies.modelOf(model);
      return Promise.resolve();
    },

    /** Asks the model's lifecycle for the lease; where it is granted, opens the rollout and gives its token. */
    async acquireRollout(model: string, holder: Holder): Promise<{ answer: AcquireAnswer; token: number | null }> {
      const answer = await lifecycle.acquireRollout(model, holder);
      if (answer.kind !== 'granted') return { answer, token: null };
      const { token } = await registry.openRollout(model, holder.workflowId, holder.trigger);
      await journaled(dependencies, { model, token }, 'lease', holder, () => Promise.resolve({ token }));
      return { answer, token };
    },

    /** Fixes the offsets that the dataset is made of, and waits until the archive has them. */
    async takeSnapshot(fence: Fence): Promise<{ offsets: Record<string, Record<number, number>> }> {
      return journaled(dependencies, fence, 'snapshot', {}, async () => {
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

    /** Writes down the steps that the first release left out. */
    async skipSteps(fence: Fence, steps: readonly RolloutStep[]): Promise<void> {
      for (const step of steps)
        await journaled(dependencies, fence, step, {}, () => Promise.resolve({ skipped: true }));
    },

    async skipStep(fence: Fence, step: RolloutStep, reason: string): Promise<void> {
      await journaled(dependencies, fence, step, {}, () => Promise.resolve({ skipped: reason }));
    },

    /** What the definition asks of this rollout, and whether there is anybody who could show evidence. */
    async planRollout(fence: Fence, allowNoInstances: boolean): Promise<RolloutPlan> {
      const { rollout, approval } = dependencies.modelOf(fence.model);
      const live = await registry.liveInstances(fence.model);
      return journaled(dependencies, fence, 'plan', {}, async (): Promise<RolloutPlan> => ({
        predecessor: (await registry.deployment(fence.model))?.champion ?? null,
        noEvidence: live.length === 0 && allowNoInstances ? 'nobody is live' : null,
        ...rollout,
        approval,
      }));
    },

    /**
     * Are the features of the version there? A version reads the service of its registration; one of other inputs needs
     * their history in every task first.
     */
    async readyFeatures(fence: Fence, version: number): Promise<void> {
      await journaled(dependencies, fence, 'readyFeatures', { version }, async () => {
        const candidate = await registry.version(fence.model, version);
        const { service } = dependencies.modelOf(fence.model);
        if (candidate !== null && candidate.service !== service.hash) {
          throw new TidemillError(
            'INPUTS_CHANGED',
            `version ${version} of ${fence.model} reads service ${candidate.service}, the workers compute ${service.hash}`,
            { model: fence.model, version, service: candidate.service, computed: service.hash },
          );
        }
        return { service: service.hash };
      });
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
        dependencies,
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

    /** Ends the rollout, and tells the lifecycle. */
    async closeRollout(fence: Fence, workflowId: string, outcome: string): Promise<void> {
      await registry.closeRollout(fence, outcome);
      const model = dependencies.modelOf(fence.model);
      const at = await registry.watermark(streamTopic(project, model.request.name));
      await lifecycle.rolloutClosed(fence.model, { workflowId, outcome, at });
    },
  });
}
