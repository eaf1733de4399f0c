import { Context } from '@temporalio/activity';
import { TidemillError } from '../contracts/errors.js';
import type { OutcomeRecord, PredictionRecord } from '../contracts/records.js';
import {
  LOOKS,
  type BegunWatch,
  type Look,
  type RolloutFence,
  type Watch,
  type WatchResult,
} from '../contracts/rollout.js';
import { outcomesTopic, predictionsTopic, streamTopic } from '../contracts/topics.js';
import { hashOf } from '../features/hash.js';
import type { CompiledModel } from '../models/definition.js';
import type { Verdict } from '../models/gates/verdict.js';
import { marginOf } from '../models/operationalGates.js';
import { serviceOfVersion } from '../scoring/versionServices.js';
import { SkewAudit, type SkewFrame } from './audit/skewAudit.js';
import { checkpointOf } from './checkpoint.js';
import type { ActivityDependencies } from './dependencies.js';
import { deploymentChanges } from './deploymentChanges.js';
import { withFailures } from './failures.js';
import { journalEntry } from './journal.js';
import { StallWatch } from './stallWatch.js';
import { BAKE_TUNED_FOR, dueAt, operationalWatch, outcomeWatch, type WatchEvidence } from './watchEvidence.js';
import { tailTopic } from './tailTopic.js';

const LOOK_MS = 500;

/** Watching a candidate in the stream: the deployment that shows it, the evidence, the verdicts. */
export function createWatchActivities(dependencies: ActivityDependencies) {
  const { registry, log, project, modelOf, reach } = dependencies;
  const { change, awaitInstances } = deploymentChanges(dependencies);
  const topicOf = ({ kind }: Watch, model: string): string =>
    kind === 'probation' ? outcomesTopic(project, model) : predictionsTopic(project, model);

  return withFailures({
    /**
     * 1 the intent, with the offsets from which evidence counts: the first attempt's stand; 2 the deployment that shows
     * the candidate; 3 every live instance follows.
     */
    async beginWatch(fence: RolloutFence, watch: Watch): Promise<BegunWatch> {
      const { model } = fence;
      const { step } = watch;
      const known = await journalEntry(registry, fence, step);
      if (known !== undefined && known.finishedAt !== null)
        return { epoch: 0, from: {}, since: null, finished: known.result as WatchResult };
      // 1
      await registry.setPhase(fence, step);
      reach?.(`${step}/before-intent`);
      const topic = topicOf(watch, model);
      const isThere = (await log.partitionCount(topic)) !== null;
      const ends = isThere ? await log.offsets(topic) : [];
      await registry.journalIntent(fence, step, {
        watch,
        from: Object.fromEntries(ends.map(({ partition, high }) => [partition, high])),
        since: await registry.watermark(streamTopic(project, modelOf(model).request.name)),
      });
      reach?.(`${step}/after-intent`);
      const { from, since } = (await journalEntry(registry, fence, step))?.intent as Pick<BegunWatch, 'from' | 'since'>;
      // 2
      const epoch = await deploy(fence, watch);
      reach?.(`${step}/after-effect`);
      // 3
      await awaitInstances(model, epoch, 'activeEpoch', false);
      return { epoch, from, since, finished: null };
    },

    /**
     * Gathers evidence from the log until the look's share of it is there, a guard fails, or time is up. Where the model
     * declares `skew`, the look also waits until its vectors are final, and recomputes them. An attempt that repeats the
     * look reads the log again and sees the same.
     */
    async awaitEvidence(fence: RolloutFence, watch: Watch, begun: BegunWatch, look: number): Promise<Look> {
      const context = Context.current();
      const { model } = fence;
      const compiled = modelOf(model);
      const due = dueAt(watch, look);
      const evidence: WatchEvidence =
        watch.kind === 'probation'
          ? outcomeWatch(compiled, watch, begun.epoch, fence.token, look === LOOKS ? null : due)
          : operationalWatch(compiled, watch, begun.epoch);
      const audit = await skewAudit(fence, compiled, watch, begun, look);
      let time = begun.since ?? Number.NEGATIVE_INFINITY;
      let since = begun.since;
      const tail = await tailTopic(log, topicOf(watch, model), begun.from, (logged) => {
        const record = JSON.parse(logged.value?.toString('utf8') ?? 'null') as PredictionRecord & OutcomeRecord;
        const at = watch.kind === 'probation' ? record.knownAt : record.at;
        since ??= at;
        time = Math.max(time, at);
        evidence.observe(record);
        audit?.observe(record, logged);
      });
      const stall = new StallWatch(compiled.stallAfterMs);
      try {
        for (;;) {
          tail.check();
          await requireNewest(fence);
          const elapsed = since === null ? 0 : time - since;
          const isOver = elapsed >= watch.atMostMs;
          const isThere = due === null ? elapsed >= (watch.atMostMs * look) / LOOKS : evidence.seen >= due;
          const beat = (audited?: number): void =>
            context.heartbeat({ seen: evidence.seen, wanted: watch.wanted, elapsed, audited, frame: audit?.frame });
          beat();
          const isDue = isThere || isOver;
          const found = isDue ? await audit?.look(isOver, checkpointOf(context, beat)) : undefined;
          if (found !== undefined && found !== null) evidence.observeSkew?.(found);
          // Null: it waits for its rows to be final, which there is time for.
          if (isDue && found !== null) {
            const number = isOver ? LOOKS : look;
            const isComplete = watch.wanted === null ? isOver : evidence.seen >= watch.wanted;
            const verdicts = evidence.judge(number);
            const decision = evidence.decide(verdicts, number, isComplete);
            if (decision !== 'continue') return told(decision, evidence, verdicts, isComplete);
            if (isOver) return told('inconclusive', evidence, verdicts, isComplete);
            if (look < LOOKS) return told('continue', evidence, verdicts, isComplete);
            // Rare events take longer to be shown than the requests that were asked for: there is time for them.
          } else {
            // What a guard shows beyond doubt need not wait for the look.
            const early = evidence.judgeEarly();
            if (early.some(({ verdict }) => verdict === 'fail')) return told('fail', evidence, early, false);
          }
          // Nobody sends requests, or nobody answers them: what is not there now will not come.
          if (stall.isStalled(time, audit?.finalUpTo ?? null))
            return { decision: 'inconclusive', seen: evidence.seen, verdicts: [], reason: stall.reason };
          await context.sleep(LOOK_MS);
        }
      } finally {
        await tail.stop();
      }
    },

    /** Stores the verdicts with the version, and the result in the journal. */
    async finishWatch(fence: RolloutFence, watch: Watch, result: WatchResult): Promise<void> {
      for (const verdict of result.verdicts)
        await registry.storeEvidence(fence, watch.version, `${watch.step}/${verdict.gate}`, verdict);
      reach?.(`${watch.step}/before-result`);
      await registry.journalResult(fence, watch.step, result);
      reach?.(`${watch.step}/after-result`);
    },
  });

  /** The audit of a look; null where the model does not ask for one, or labels decide. */
  async function skewAudit(
    { model: name, token }: RolloutFence,
    model: CompiledModel,
    watch: Watch,
    { epoch, from }: BegunWatch,
    look: number,
  ): Promise<SkewAudit | null> {
    const gate = model.gates.operational.find(({ kind }) => kind === 'skew');
    if (gate === undefined || watch.kind === 'probation') return null;
    const earlier = Context.current().info.heartbeatDetails as { readonly frame?: SkewFrame | null } | null | undefined;
    const service = await serviceOfVersion(dependencies, model, watch.version);
    return new SkewAudit(dependencies, model, service, marginOf(gate), {
      epoch,
      seed: hashOf([name, watch.version, token, watch.step, look, from]),
      requests: watch.wanted ?? BAKE_TUNED_FOR,
      resumed: earlier?.frame ?? null,
    });
  }

  /** Bake and probation watch what the commit deployed. */
  async function deploy(fence: RolloutFence, { kind, step, version, share }: Watch): Promise<number> {
    const head = await registry.deployment(fence.model);
    if (kind === 'bake' || kind === 'probation') {
      if (head?.champion !== version) {
        throw new TidemillError('FENCED', `version ${version} of ${fence.model} is not the champion any more`, {
          ...fence,
        });
      }
      return head.epoch;
    }
    // One salt for all steps: whoever is in at a small share stays in at a greater one.
    const next =
      kind === 'shadow'
        ? ({ mode: 'shadow', challenger: version, share: 0, salt: '' } as const)
        : ({ mode: 'canary', challenger: version, share, salt: `${fence.model}/${fence.token}` } as const);
    return (await change(fence, step, next, `${step} of version ${version}`, null)).epoch;
  }

  /** A rollout that was fenced gathers no evidence any more. */
  async function requireNewest({ model, token }: RolloutFence): Promise<void> {
    const newest = await registry.newestRollout(model);
    if (newest !== null && newest.token > token) {
      throw new TidemillError('FENCED', `rollout ${token} of ${model} was fenced by rollout ${newest.token}`, {
        model,
        token,
        newest: newest.token,
      });
    }
  }
}

/** What a look came to, with the reason in words. */
function told(
  decision: Look['decision'],
  { seen }: WatchEvidence,
  verdicts: readonly Verdict[],
  isComplete: boolean,
): Look {
  const say = (kind: Verdict['verdict']): string =>
    verdicts
      .filter(({ verdict }) => verdict === kind)
      .map(({ gate, reason }) => `${gate}: ${reason}`)
      .join('; ');
  const reasons: Record<Look['decision'], () => string> = {
    pass: () => 'every gate passed',
    fail: () => say('fail'),
    continue: () => '',
    inconclusive: () => (isComplete ? say('inconclusive') || 'nothing was judged' : `time is up with ${seen} rows`),
  };
  return { decision, seen, verdicts, reason: reasons[decision]() };
}
