import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
  defineQuery,
  defineSignal,
  defineUpdate,
  getExternalWorkflowHandle,
  isCancellation,
  ParentClosePolicy,
  patched,
  setCurrentDetails,
  setHandler,
  startChild,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import {
  recoverId,
  rollbackId,
  SIGNAL_APPROVAL,
  UPDATE_APPROVE,
  UPDATE_PAUSE,
  UPDATE_REJECT,
  UPDATE_RESUME,
  UPDATE_ROLLBACK,
  type ApprovalAnswer,
  type ApprovalDecision,
  type RollbackInput,
} from '../contracts/rollout.js';
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
  type LifecycleCarried,
  type LifecycleInput,
  type LifecycleStatus,
  type Paused,
  type RetrainInput,
  type RolloutClosed,
  type SourceMark,
} from '../contracts/workflows.js';
import { recoveries, waiting } from './activityProxies.js';
import { judgeCases, judgeCasesAsFirstReleased, type CaseDesk } from './driftCases.js';
import { recoverRollout } from './recoverRollout.js';
import { retrainModel } from './retrainModel.js';
import { rollbackModel } from './rollbackModel.js';
import { RolloutLease } from './rolloutLease.js';
import { markSequence } from './sourceMark.js';

const driftDetected = defineSignal<[DriftSignal]>(SIGNAL_DRIFT);
const rolloutClosed = defineSignal<[RolloutClosed]>(SIGNAL_CLOSED);
const acquireRollout = defineUpdate<AcquireAnswer, [Holder]>(UPDATE_ACQUIRE);
const requestRetrain = defineUpdate<{ workflowId: string }, [Partial<RetrainInput>?]>(UPDATE_RETRAIN);
const rollback = defineUpdate<{ workflowId: string }, [Omit<RollbackInput, 'model'>]>(UPDATE_ROLLBACK);
const pause = defineUpdate<Paused, [Paused]>(UPDATE_PAUSE);
const resume = defineUpdate<null, [{ readonly by: string }]>(UPDATE_RESUME);
const approve = defineUpdate<ApprovalDecision, [ApprovalAnswer]>(UPDATE_APPROVE);
const reject = defineUpdate<ApprovalDecision, [ApprovalAnswer]>(UPDATE_REJECT);
const status = defineQuery<LifecycleStatus>(QUERY_STATUS);

/** Decided cases that are still shown. */
const MAX_CASES = 20;
/** Events after which the lifecycle continues as new, whatever it waits for. */
const MAX_HISTORY = 1_500;

/**
 * The entity of a model: it keeps its drift cases and decides who may roll out. It runs for ever, and continues as new
 * with what it knows once its history has grown long.
 *
 *   finding -> case open -> waiting-for-labels (<-> stalled) -> training -> decided
 */
export async function modelLifecycle(input: LifecycleInput): Promise<void> {
  const { model, carried } = input;
  // Part of the id, which a replay knows, too; it knows no queue.
  const project = projectOfLifecycle(workflowInfo().workflowId);
  const sources = new Map<string, SourceMark>(Object.entries(carried?.sources ?? {}));
  let cases: DriftCase[] = [...(carried?.cases ?? [])];
  const lease = new RolloutLease(carried?.holder ?? null, carried?.queued ?? null, carried?.paused ?? null);
  const history: CaseDesk['history'] = {
    decidedAt: carried?.decidedAt ?? null,
    automaticAt: carried?.automaticAt ?? [],
  };

  const show = (): void => {
    const rows = cases.map(
      ({ id, state, note, onset }) => `| ${id} | ${state} | ${new Date(onset).toISOString()} | ${note} |`,
    );
    const { holder, queued, paused } = lease;
    const rollout =
      holder === null ? 'none' : `${holder.workflowId}${queued === null ? '' : ` (then ${queued.workflowId})`}`;
    setCurrentDetails(
      [
        `**${model}** rollout: ${rollout}${paused === null ? '' : `; paused by ${paused.by}: ${paused.reason}`}`,
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

  setHandler(status, () => ({ model, cases, rollout: lease.holder, queued: lease.queued, paused: lease.paused }));

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

  setHandler(acquireRollout, (asking): AcquireAnswer => {
    const answer = lease.ask(asking);
    show();
    return answer;
  });

  setHandler(rolloutClosed, async ({ workflowId, at }) => {
    if (!lease.close(workflowId)) return;
    history.decidedAt = at ?? history.decidedAt;
    const next = lease.queued;
    show();
    if (next === null) return;
    try {
      await getExternalWorkflowHandle(next.workflowId).signal(SIGNAL_GRANTED);
    } catch {
      // It has ended in the meantime: nobody waits any more.
      lease.queued = null;
    }
  });

  let children = 0;
  setHandler(requestRetrain, async (wanted) => {
    const workflowId = retrainId(project, model, `requested-${workflowInfo().runId.slice(0, 8)}-${++children}`);
    await startChild(retrainModel, {
      workflowId,
      args: [{ ...wanted, model }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
    return { workflowId };
  });
  setHandler(rollback, async (wanted) => {
    const workflowId = rollbackId(project, model, `requested-${workflowInfo().runId.slice(0, 8)}-${++children}`);
    await startChild(rollbackModel, {
      workflowId,
      args: [{ ...wanted, model }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
    return { workflowId };
  });
  setHandler(pause, (asked) => {
    lease.paused = asked;
    show();
    return asked;
  });
  setHandler(resume, () => {
    lease.paused = null;
    show();
    return null;
  });
  // The token is checked by an activity, which also makes sure that it is used once; the rollout only hears the answer.
  const answer = async (approved: boolean, given: ApprovalAnswer): Promise<ApprovalDecision> => {
    const decision = await recoveries().checkApproval(model, approved, given);
    const waitingFor = lease.holder;
    if (waitingFor !== null) await getExternalWorkflowHandle(waitingFor.workflowId).signal(SIGNAL_APPROVAL, decision);
    return decision;
  };
  setHandler(approve, (given) => answer(true, given));
  setHandler(reject, (given) => answer(false, given));

  if (patched('holder-is-watched')) {
    for (const loop of [watchHolders(), tellSuperseded()]) {
      loop.catch((error: unknown) => {
        // They end with the workflow; anything else must be seen.
        if (!isCancellation(error)) throw error;
      });
    }
  }
  show();
  const desk: CaseDesk = { model, project, lease, cases: () => cases, change, history };
  if (patched('cases-are-judged-aside')) {
    const isLong = (): boolean => workflowInfo().historyLength >= MAX_HISTORY || workflowInfo().continueAsNewSuggested;
    const aside = new CancellationScope();
    const judging = aside.run(() => judgeCases(desk));
    await Promise.race([condition(isLong), judging]);
    aside.cancel();
    await judging.catch((error: unknown) => {
      if (!isCancellation(error)) throw error;
    });
  } else await judgeCasesAsFirstReleased(desk, () => workflowInfo().continueAsNewSuggested);
  await condition(allHandlersFinished);
  await continueAsNew<typeof modelLifecycle>({
    model,
    carried: { sources: Object.fromEntries(sources), cases, ...history, ...carriedLease() },
  });

  function carriedLease(): Pick<LifecycleCarried, 'holder' | 'queued' | 'paused'> {
    return { holder: lease.holder, queued: lease.queued, paused: lease.paused };
  }

  /** A holder that ends without letting go is recovered: what it left behind is undone, or carried to its end. */
  async function watchHolders(): Promise<void> {
    for (;;) {
      await condition(() => lease.holder !== null);
      const watched = lease.holder?.workflowId ?? '';
      await waiting().awaitClosed(watched);
      // Its last words may still be on their way; then there is nothing to recover, which the recovery finds out.
      if (lease.holder?.workflowId !== watched) continue;
      const workflowId = recoverId(project, model, `${workflowInfo().runId.slice(0, 8)}-${++children}`);
      lease.holder = { workflowId, trigger: 'recovery' };
      show();
      await startChild(recoverRollout, {
        workflowId,
        args: [{ model, workflowId: watched }],
        parentClosePolicy: ParentClosePolicy.ABANDON,
      });
    }
  }

  /** Tells a holder to step aside: it undoes itself, unless it has committed. */
  async function tellSuperseded(): Promise<void> {
    for (;;) {
      await condition(() => lease.superseding !== null);
      const target = lease.superseding ?? '';
      lease.superseding = null;
      try {
        await getExternalWorkflowHandle(target).cancel();
      } catch {
        // It has ended: the lease is free, or about to be recovered.
      }
    }
  }
}
