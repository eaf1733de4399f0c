import {
  CancellationScope,
  condition,
  defineQuery,
  defineSignal,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  QUERY_STATUS,
  SEARCH_MODEL,
  SEARCH_PHASE,
  SEARCH_VERSION,
  SIGNAL_GRANTED,
  SKIPPED_STEPS,
  type RetrainInput,
  type RetrainResult,
  type RetrainStatus,
  type RolloutStep,
} from '../contracts/workflows.js';
import { compensations, heavy, rollouts, validation } from './activityProxies.js';
import { describeFailure, describeSteps } from './describe.js';

const status = defineQuery<RetrainStatus>(QUERY_STATUS);
const granted = defineSignal(SIGNAL_GRANTED);

/**
 * The rollout saga: drift, a schedule or a person asks; a version is promoted, or nothing has changed.
 *
 *   lease, snapshot, dataset, dataGates, evaluationFit, releaseFit, gates, register, (readyFeatures, shadow, canary,
 *   approval), prepare, commit, (bake, probation)
 *
 * Every step with effects carries the token of the lease and is journaled. Before the commit point a failure is
 * compensated from the journal; after it the promotion stands.
 */
export async function retrainModel(input: RetrainInput): Promise<RetrainResult> {
  const { model, trigger, allowNoInstances } = normalised(await validation().validateRetrain(input));
  const { workflowId } = workflowInfo();
  const onset = trigger.onset === undefined ? null : Date.parse(trigger.onset);
  const steps: { step: RolloutStep; result: string }[] = [];
  let phase: RetrainStatus['phase'] = 'starting';
  let token: number | null = null;
  let version: number | null = null;
  let isGranted = false;
  setHandler(status, () => ({ model, phase, token, version, trigger: trigger.kind, steps }));
  setHandler(granted, () => {
    isGranted = true;
  });
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
  const holder = { workflowId, trigger: trigger.kind };
  let lease = await rollouts().acquireRollout(model, holder);
  if (lease.answer.kind === 'queued') {
    enter('queued');
    await condition(() => isGranted);
    lease = await rollouts().acquireRollout(model, holder);
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
    if (!data.allowed) notPromoted = `the data gates say no: ${failures(data.verdicts)}`;

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
      if (!judgement.allowed) notPromoted = `the gates say no: ${failures(judgement.verdicts)}`;

      if (notPromoted === null) {
        await rollouts().skipSteps(fence, SKIPPED_STEPS.slice(0, 4));
        enter('prepare');
        const ready = await rollouts().prepareVersion(fence, version, allowNoInstances);
        done('prepare', `ready on ${ready.instances.length} instances`);

        enter('commit');
        epoch = await rollouts().commitVersion(fence, version, verdicts);
        const active = await rollouts().awaitActive(fence, epoch, allowNoInstances);
        done('commit', `epoch ${epoch}, active on ${active.length} instances`);
        await rollouts().skipSteps(fence, SKIPPED_STEPS.slice(4));
      }
    }
  } catch (error) {
    // After the commit point the promotion stands, whatever followed it.
    if (epoch === null) notPromoted = describeFailure(error);
  }

  return CancellationScope.nonCancellable(async (): Promise<RetrainResult> => {
    if (epoch !== null && version !== null) {
      await compensations().closeRollout(fence, workflowId, 'promoted');
      enter('done');
      return { outcome: 'promoted', version, epoch, token: fence.token, trigger: trigger.kind };
    }
    const reason = notPromoted ?? 'unknown';
    enter('compensating');
    await compensations().compensateRollout(fence, reason);
    await compensations().closeRollout(fence, workflowId, 'not promoted');
    enter('done');
    return { outcome: 'notPromoted', version, token: fence.token, reason };
  });
}

function normalised(input: RetrainInput): Required<Pick<RetrainInput, 'model' | 'trigger' | 'allowNoInstances'>> {
  return {
    model: input.model,
    trigger: input.trigger ?? { kind: 'manual' },
    allowNoInstances: input.allowNoInstances ?? false,
  };
}

interface Said {
  readonly gate: string;
  readonly verdict: string;
  readonly reason: string;
}

function describeVerdicts(verdicts: readonly Said[]): string {
  return verdicts.map(({ gate, verdict }) => `${gate}: ${verdict}`).join(', ');
}

function failures(verdicts: readonly Said[]): string {
  const open = verdicts.filter(({ verdict }) => verdict !== 'pass');
  return open.map(({ gate, verdict, reason }) => `${gate} ${verdict} (${reason})`).join('; ');
}
