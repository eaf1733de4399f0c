import {
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  isCancellation,
  patched,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { ReadyFeatures } from '../contracts/features.js';
import {
  SIGNAL_APPROVAL,
  type ApprovalDecision,
  type ApprovalRequest,
  type RolloutPlan,
  type RolloutStep,
  type Settled,
  type WatchResult,
} from '../contracts/rollout.js';
import {
  FIRST_RELEASE_SKIPPED,
  QUERY_STATUS,
  SEARCH_MODEL,
  SEARCH_PHASE,
  SEARCH_VERSION,
  SIGNAL_GRANTED,
  type RetrainInput,
  type RetrainResult,
  type RetrainStatus,
  type Trigger,
} from '../contracts/workflows.js';
import { promotedOn } from './activeOn.js';
import { decisionOn, type ToldOfApproval } from './approvalDeadline.js';
import { compensations, features, heavy, rollouts, validation } from './activityProxies.js';
import { canaryRollout } from './canaryRollout.js';
import { describeFailure, describeOpen, describeSteps, isFenced } from './describe.js';
import { executeWatch } from './executeWatch.js';
import { settlePromotion, takeBack } from './settlePromotion.js';
import { shadowTest } from './shadowTest.js';
import { describeVerdicts } from './watchCandidate.js';

const status = defineQuery<RetrainStatus>(QUERY_STATUS);
const granted = defineSignal(SIGNAL_GRANTED);
const approvalDecided = defineSignal<[ApprovalDecision]>(SIGNAL_APPROVAL);

/**
 * The rollout saga: drift, a schedule or a person asks; a version is promoted, or nothing has changed.
 *
 *   lease, snapshot, dataset, dataGates, evaluationFit, releaseFit, gates, register, readyFeatures, shadow, canary,
 *   approval, prepare, commit, bake, probation
 *
 * Every step with effects carries the token of the lease and is journaled. Before the commit point a failure is
 * compensated from the journal; after it only evidence takes the promotion back.
 */
export async function retrainModel(input: RetrainInput): Promise<RetrainResult> {
  const steps: { step: RolloutStep; result: string }[] = [];
  let phase: RetrainStatus['phase'] = 'starting';
  let token: number | null = null;
  let version: number | null = null;
  let isGranted = false;
  let approval: ApprovalRequest | null = null;
  const told: ToldOfApproval = { decision: null };
  // Asked before anything is checked, too: whatever the input is, it is shown as far as it goes.
  setHandler(status, () => {
    const asked = (input ?? {}) as Partial<RetrainInput>;
    return {
      model: asked.model ?? '',
      phase,
      token,
      version,
      trigger: asked.trigger?.kind ?? 'manual',
      steps,
      approval,
    };
  });
  setHandler(approvalDecided, (decided) => {
    told.decision = decided;
  });
  setHandler(granted, () => {
    isGranted = true;
  });

  // Short, and carried to their end: a cancellation in between must not leave a lease that nobody knows of.
  const wholly = <T>(act: () => Promise<T>): Promise<T> => CancellationScope.nonCancellable(act);
  const checked = await wholly(() => validation().validateRetrain(input));
  const { model, trigger, allowNoInstances, requestedBy } = normalised(checked);
  const { workflowId } = workflowInfo();
  const onset = trigger.onset === undefined ? null : Date.parse(trigger.onset);
  const enter = (next: RetrainStatus['phase']): void => {
    phase = next;
    upsertSearchAttributes({
      [SEARCH_MODEL]: [model],
      [SEARCH_PHASE]: [next],
      ...(version === null ? {} : { [SEARCH_VERSION]: [String(version)] }),
    });
    setCurrentDetails(describeSteps(model, next, steps));
  };
  const done = (step: RolloutStep, result: string): void => {
    steps.push({ step, result });
    setCurrentDetails(describeSteps(model, phase, steps));
  };

  enter('lease');
  const holder = { workflowId, trigger: trigger.kind, ...(input.supersede === true ? { supersede: true } : {}) };
  const acquire = () => wholly(() => rollouts().acquireRollout(model, holder));
  let lease = await acquire();
  // Told that it may, it may be too late: somebody has begun to roll back, and it waits on.
  for (let asked = 1; lease.answer.kind === 'queued' && (asked === 1 || patched('asks-until-granted')); asked++) {
    enter('queued');
    try {
      await condition(() => isGranted);
    } catch (error) {
      if (!isCancellation(error)) throw error;
      enter('done');
      return { outcome: 'refused', reason: 'cancelled while it waited' };
    }
    // Before it asks: what it is told afterwards is news.
    isGranted = false;
    lease = await acquire();
  }
  if (lease.answer.kind !== 'granted' || lease.token === null) {
    enter('done');
    return {
      outcome: 'refused',
      reason: lease.answer.kind === 'refused' ? lease.answer.reason : 'the lease was not granted',
    };
  }
  token = lease.token;
  const fence = { model, token };
  done('lease', `token ${token}`);

  let epoch: number | null = null;
  let notPromoted: string | null = null;
  let plan: RolloutPlan | null = null;
  let settled: Settled | null = null;
  let fencedBy: string | null = null;
  try {
    enter('snapshot');
    const snapshot = await rollouts().takeSnapshot(fence);
    done('snapshot', `${Object.keys(snapshot.offsets).length} topics archived`);

    enter('dataset');
    const dataset = await heavy().buildDataset(fence, onset);
    done('dataset', `${dataset.rows} rows, ${dataset.positives} positives, ${dataset.asServed} as served`);

    enter('dataGates');
    const data = await heavy().judgeDataset(fence, dataset);
    done('dataGates', describeVerdicts(data.verdicts));
    if (!data.allowed) notPromoted = `the data gates say no: ${describeOpen(data.verdicts)}`;

    if (notPromoted === null) {
      enter('evaluationFit');
      const evaluation = await heavy().fitEvaluation(fence, dataset);
      done('evaluationFit', `${evaluation.rows} rows, ${evaluation.positives} positives`);

      enter('releaseFit');
      const release = await heavy().fitRelease(fence, dataset);
      done('releaseFit', `${release.rows} rows, parity ${release.parity.maxDifference.toExponential(1)}`);

      enter('gates');
      const judgement = await heavy().judgeModel(fence, dataset, evaluation, trigger.kind);
      done('gates', describeVerdicts(judgement.verdicts));

      enter('register');
      const verdicts = [...data.verdicts, ...judgement.verdicts];
      version = await rollouts().registerVersion(fence, release, dataset, trigger.kind, judgement.metrics, verdicts);
      done('register', `version ${version}`);
      if (!judgement.allowed) notPromoted = `the gates say no: ${describeOpen(judgement.verdicts)}`;

      const isInFull = patched('rollout-in-full');
      if (notPromoted === null && isInFull) {
        plan = await rollouts().planRollout(fence, allowNoInstances);
        notPromoted = await beforeCommit(version, plan);
      }
      if (notPromoted === null) {
        if (!isInFull) await rollouts().skipSteps(fence, FIRST_RELEASE_SKIPPED.slice(0, 4));
        enter('prepare');
        const ready = await rollouts().prepareVersion(fence, version, allowNoInstances);
        done('prepare', `ready on ${ready.instances.length} instances`);

        enter('commit');
        // Cancelled in its midst, nobody would know on which side of the commit point it is.
        const commit = rollouts().commitVersion.bind(null, fence, version, verdicts, plan);
        epoch = await (patched('committed-wholly') ? wholly(commit) : commit());
        const { active, behind, isEnough } = await promotedOn(fence, epoch, allowNoInstances);
        const unfollowed = behind === null ? '' : `; ${behind}`;
        done('commit', `epoch ${epoch}, active on ${active.length} instances${unfollowed}`);
        if (plan === null) await rollouts().skipSteps(fence, FIRST_RELEASE_SKIPPED.slice(4));
        else if (isEnough) settled = await settlePromotion(fence, version, plan, { enter, done });
        else settled = await takeBack(fence, version, plan, `commit: ${behind}`, { enter, done });
      }
    }
  } catch (error) {
    // After the commit point the promotion stands, whatever followed it.
    if (epoch === null) notPromoted = describeFailure(error);
    else if (isFenced(error)) fencedBy = describeFailure(error);
    else settled = { outcome: 'promoted', probation: 'inconclusive', reason: describeFailure(error) };
  }

  return CancellationScope.nonCancellable(async (): Promise<RetrainResult> => {
    if (epoch !== null && version !== null) {
      // Whatever still watches the new champion ends with the rollout; another rollout's token has ended it already.
      if (settled?.probation === 'inconclusive') await unlessFenced(compensations().endWatching(fence, settled.reason));
      const isBack = settled?.outcome === 'rolledBack';
      await compensations().closeRollout(fence, workflowId, isBack ? `rolled back: ${settled?.reason}` : 'promoted');
      enter('done');
      if (fencedBy !== null) return { outcome: 'fenced', version, token: fence.token, reason: fencedBy };
      if (isBack) {
        const to = plan?.predecessor ?? null;
        return { outcome: 'rolledBack', version, to, token: fence.token, reason: settled?.reason ?? '' };
      }
      const probation = settled === null ? {} : { probation: settled.probation };
      return { outcome: 'promoted', version, epoch, token: fence.token, trigger: trigger.kind, ...probation };
    }
    const reason = notPromoted ?? 'unknown';
    enter('compensating');
    await unlessFenced(compensations().compensateRollout(fence, reason));
    await compensations().closeRollout(fence, workflowId, 'not promoted');
    enter('done');
    return { outcome: 'notPromoted', version, token: fence.token, reason };
  });

  /** Shadow, canary and approval; null where nothing speaks against the promotion. */
  async function beforeCommit(candidate: number, { noEvidence, ...asked }: RolloutPlan): Promise<string | null> {
    const input = { fence, version: candidate, plan: { noEvidence, ...asked } };
    if (patched('features-by-version')) enter('readyFeatures');
    // Releases of before answered nothing: the inputs could not change.
    const ready = (await features().readyFeatures(fence, candidate)) as ReadyFeatures | undefined | null;
    done('readyFeatures', ready?.reason ?? 'the inputs are those of the champion');
    for (const [step, child] of [
      ['shadow', shadowTest],
      ['canary', canaryRollout],
    ] as const) {
      if (asked[step] === null || noEvidence !== null) {
        const why = noEvidence ?? 'the model declares none';
        await rollouts().skipStep(fence, step, why);
        done(step, `skipped: ${why}`);
        continue;
      }
      enter(step);
      const result: WatchResult = await executeWatch(child, `${workflowId}/${step}`, input);
      done(step, `${result.decision} on ${result.seen} requests: ${result.reason}`);
      if (result.decision !== 'pass')
        return `${step} ${result.decision}: ${describeOpen(result.verdicts) || result.reason}`;
    }
    if (asked.approval === 'automatic') {
      await rollouts().skipStep(fence, 'approval', 'automatic');
      return null;
    }
    enter('approval');
    approval = await rollouts().requestApproval(fence, candidate, requestedBy);
    const found = await decisionOn(fence, told);
    approval = null;
    if (found === null) return 'nobody approved within 7 days';
    done('approval', `${found.approved ? 'approved' : 'rejected'} by ${found.by} (${found.identity})`);
    return found.approved ? null : `rejected by ${found.by}: ${found.reason}`;
  }
}

/** A newer rollout has taken over, and undoes what there is to undo: nothing is left to do here. */
async function unlessFenced(act: Promise<void>): Promise<void> {
  try {
    await act;
  } catch (error) {
    if (isCancellation(error) || !isFenced(error)) throw error;
  }
}

function normalised(input: RetrainInput): {
  readonly model: string;
  readonly trigger: Trigger;
  readonly allowNoInstances: boolean;
  readonly requestedBy: string | null;
} {
  return {
    model: input.model,
    trigger: input.trigger ?? { kind: 'manual' },
    allowNoInstances: input.allowNoInstances ?? false,
    requestedBy: input.requestedBy ?? null,
  };
}
