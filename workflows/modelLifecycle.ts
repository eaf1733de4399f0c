import {
  allHandlersFinished,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  executeChild,
  getExternalWorkflowHandle,
  ParentClosePolicy,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  projectOfLifecycle,
  QUERY_STATUS,
  retrainId,
  SEARCH_MODEL,
  SEARCH_PHASE,
  SIGNAL_CLOSED,
  SIGNAL_DRIFT,
  SIGNAL_GRANTED,
  UPDATE_ACQUIRE,
  UPDATE_RETRAIN,
  type AcquireAnswer,
  type DriftCase,
  type DriftSignal,
  type Holder,
  type LifecycleInput,
  type LifecycleStatus,
  type RetrainInput,
  type RetrainResult,
  type RolloutClosed,
  type SourceMark,
} from '../contracts/workflows.js';
import { policies, waiting } from './activityProxies.js';
import { describeFailure } from './describe.js';
import { retrainModel } from './retrainModel.js';
import { markSequence } from './sourceMark.js';

const driftDetected = defineSignal<[DriftSignal]>(SIGNAL_DRIFT);
const rolloutClosed = defineSignal<[RolloutClosed]>(SIGNAL_CLOSED);
const acquireRollout = defineUpdate<AcquireAnswer, [Holder]>(UPDATE_ACQUIRE);
const requestRetrain = defineUpdate<{ workflowId: string }, [Partial<RetrainInput>?]>(UPDATE_RETRAIN);
const status = defineQuery<LifecycleStatus>(QUERY_STATUS);

/** Decided cases that are still shown. */
const MAX_CASES = 20;

/**
 * The entity of a model: it keeps its drift cases and decides who may roll out. It runs for ever, and continues as new
 * with what it knows once its history has grown long.
 *
 *   finding -> case open -> waiting-for-labels -> training -> decided
 */
export async function modelLifecycle(input: LifecycleInput): Promise<void> {
  const { model, carried } = input;
  // Part of the id, which a replay knows, too; it knows no queue.
  const project = projectOfLifecycle(workflowInfo().workflowId);
  const sources = new Map<string, SourceMark>(Object.entries(carried?.sources ?? {}));
  let cases: DriftCase[] = [...(carried?.cases ?? [])];
  let holder: Holder | null = carried?.holder ?? null;
  let queued: Holder | null = carried?.queued ?? null;
  let decidedAt: number | null = carried?.decidedAt ?? null;
  let automaticAt: number[] = [...(carried?.automaticAt ?? [])];

  const show = (): void => {
    const rows = cases.map(
      ({ id, state, note, onset }) => `| ${id} | ${state} | ${new Date(onset).toISOString()} | ${note} |`,
    );
    const rollout =
      holder === null ? 'none' : `${holder.workflowId}${queued === null ? '' : ` (then ${queued.workflowId})`}`;
    setCurrentDetails(
      [
        `**${model}** rollout: ${rollout}`,
        '',
        '| case | state | onset | note |',
        '| --- | --- | --- | --- |',
        ...rows,
      ].join('\n'),
    );
    upsertSearchAttributes({
      [SEARCH_MODEL]: [model],
      [SEARCH_PHASE]: [cases.find(({ state }) => state !== 'decided')?.state ?? 'watching'],
    });
  };
  const change = (id: string, changed: Partial<DriftCase>): void => {
    cases = cases.map((each) => (each.id === id ? { ...each, ...changed } : each));
    show();
  };

  setHandler(status, () => ({ model, cases, rollout: holder, queued }));

  // A signal is never lost: it opens a case, or updates the one that is open.
  setHandler(driftDetected, (drift) => {
    const mark = markSequence(sources.get(drift.source), drift.sequence);
    if (mark === null) return;
    sources.set(drift.source, mark);
    const open = cases.find(
      ({ source, state, version }) => source === drift.source && state !== 'decided' && version === drift.version,
    );
    if (open !== undefined) change(open.id, { findings: open.findings + 1 });
    else {
      const id = `${drift.source.replaceAll('/', '-')}-${drift.sequence}`;
      const { source, version, onset, detectedAt } = drift;
      cases = [
        ...cases,
        { id, source, version, onset, detectedAt, findings: 1, state: 'open' as const, note: '' },
      ].slice(-MAX_CASES);
    }
    show();
  });

  // Answered at once: one holds the lease, one may wait for it, further triggers merge into the waiting one.
  setHandler(acquireRollout, (asking): AcquireAnswer => {
    if (holder === null || holder.workflowId === asking.workflowId) {
      holder = asking;
      if (queued?.workflowId === asking.workflowId) queued = null;
      show();
      return { kind: 'granted' };
    }
    if (queued === null || queued.workflowId === asking.workflowId) {
      queued = asking;
      show();
      return { kind: 'queued' };
    }
    return { kind: 'refused', reason: `${holder.workflowId} is rolling out and ${queued.workflowId} waits already` };
  });

  setHandler(rolloutClosed, async ({ workflowId, at }) => {
    if (holder?.workflowId !== workflowId) return;
    holder = null;
    decidedAt = at ?? decidedAt;
    const next = queued;
    show();
    if (next === null) return;
    try {
      await getExternalWorkflowHandle(next.workflowId).signal(SIGNAL_GRANTED);
    } catch {
      // It has ended in the meantime: nobody waits any more.
      queued = null;
    }
  });

  let retrains = 0;
  setHandler(requestRetrain, async (wanted) => {
    const workflowId = retrainId(project, model, `requested-${workflowInfo().runId.slice(0, 8)}-${++retrains}`);
    await startChild(retrainModel, {
      workflowId,
      args: [{ ...wanted, model }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
    return { workflowId };
  });

  show();
  while (!workflowInfo().continueAsNewSuggested) {
    await condition(() => cases.some(({ state }) => state === 'open') || workflowInfo().continueAsNewSuggested);
    const open = cases.find(({ state }) => state === 'open');
    if (open === undefined) continue;
    const policy = await policies().driftPolicy(model);
    const refusal = await policies().automaticRolloutRefused(model, { decidedAt, automaticAt });
    if (refusal !== null) {
      // Judged again as stream time goes on; the case stays open.
      change(open.id, { note: refusal });
      await policies().awaitStreamTime(model, policy.againAfterMs);
      continue;
    }
    change(open.id, {
      state: 'waiting-for-labels',
      note: `until ${policy.freshPositives} positives after the onset are labelled`,
    });
    const positives = await waiting().awaitFreshPositives(model, open.onset, policy.freshPositives);
    change(open.id, { state: 'training', note: `${positives} positives after the onset` });
    automaticAt = [...automaticAt, open.detectedAt].slice(-50);
    try {
      const result: RetrainResult = await executeChild(retrainModel, {
        workflowId: retrainId(project, model, `drift-${open.id}`),
        args: [
          {
            model,
            trigger: { kind: 'drift', reason: open.source, onset: new Date(open.onset).toISOString(), case: open.id },
          },
        ],
        parentClosePolicy: ParentClosePolicy.ABANDON,
      });
      change(open.id, { state: 'decided', note: describeResult(result) });
    } catch (error) {
      change(open.id, { state: 'decided', note: `failed: ${describeFailure(error)}` });
    }
  }
  await condition(allHandlersFinished);
  await continueAsNew<typeof modelLifecycle>({
    model,
    carried: { sources: Object.fromEntries(sources), cases, holder, queued, decidedAt, automaticAt },
  });
}

function describeResult(result: RetrainResult): string {
  if (result.outcome === 'promoted') return `promoted version ${result.version}`;
  return result.outcome === 'refused' ? `refused: ${result.reason}` : `not promoted: ${result.reason}`;
}
