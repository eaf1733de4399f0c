import { Context } from '@temporalio/activity';
import { checkRetrainInput } from '../contracts/schemas/retrainInput.js';
import { streamTopic } from '../contracts/topics.js';
import type { RolloutPlan, RolloutStep } from '../contracts/rollout.js';
import type { AcquireAnswer, Holder, RetrainInput } from '../contracts/workflows.js';
import { encodeService } from '../features/storedService.js';
import { BOUNDLESS, checkPlan } from '../models/gates/planCheck.js';
import type { Verdict } from '../models/gates/verdict.js';
import type { Fence, ModelVersion } from '../stores/registry/registry.js';
import { awaitArchive } from './dataset/awaitArchive.js';
import type { BuiltDataset } from './dataset/buildDataset.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { journaled } from './journal.js';
import type { FittedModel } from './trainingActivities.js';

/** Ownership, plan and registration: everything about a rollout that is not data, training or deployment. */
export function createRolloutActivities(dependencies: ActivityDependencies) {
  const { registry, log, objects, project, lifecycle } = dependencies;

  return withFailures({
    /**
     * Refuses an input that is not what the workflow takes, a model that the project does not have, and a plan that could
     * not be kept however many requests came: better now than after weeks. Who promotes without evidence waits for none.
     *
     * @throws TidemillError INPUT_INVALID, DEFINITION_INVALID, PLAN_UNREACHABLE
     */
    async validateRetrain(input: unknown): Promise<RetrainInput> {
      const checked = checkRetrainInput(input);
      const model = dependencies.modelOf(checked.model);
      if (checked.allowNoInstances !== true) checkPlan(model, BOUNDLESS);
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
        const names = new Set([model.request.name, model.label.stream.name]);
        const topics = [...names].map((name) => streamTopic(project, name));
        return { offsets: await awaitArchive(log, project, topics, fence.model) };
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
        async (): Promise<ModelVersion> => {
          // Served later by workers whose definition may be another by then.
          const { uri, sha256 } = await objects.put('services', 'json', encodeService(model.service));
          return registry.registerVersion(
            {
              model: fence.model,
              artifact: release.artifact,
              service: model.service.hash,
              columns: dataset.columns,
              definition: { uri, sha256 },
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
          );
        },
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
