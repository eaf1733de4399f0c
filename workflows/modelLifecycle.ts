import {
  allHandlersFinished,
  CancellationScope,
  condition,
  continueAsNew,
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
import type { ApprovalAnswer } from '../contracts/approval.js';
import { rollbackId, SIGNAL_APPROVAL, type ApprovalDecision } from '../contracts/rollout.js';
import {
  projectOfLifecycle,
  retrainId,
  SEARCH_MODEL,
  SEARCH_PHASE,
  SIGNAL_GRANTED,
  type AcquireAnswer,
  type DriftCase,
  type LifecycleCarried,
  type LifecycleInput,
  type SourceMark,
} from '../contracts/workflows.js';
import { recoveries, validation } from './activityProxies.js';
import { refuseAnswer } from './approvalShape.js';
import { describeLifecycle } from './describe.js';
import { judgeCases, judgeCasesAsFirstReleased, type CaseDesk } from './driftCases.js';
import {
  acquireRollout,
  approve,
  driftDetected,
  pause,
  reject,
  requestRetrain,
  resume,
  rollback,
  rollbackBegun,
  rolloutClosed,
  status,
} from './lifecycleMessages.js';
import { leaseWatches } from './leaseWatches.js';
import { saidPlainly } from './plainFailure.js';
import { retrainModel } from './retrainModel.js';
import { rollbackModel } from './rollbackModel.js';
import { RolloutLease } from './rolloutLease.js';
import { markSequence } from './sourceMark.js';

/** Decided cases that are still shown. */
const MAX_CASES = 20;
/**
 * Events after which the lifecycle continues as new, whatever it waits for. No run shall have more than 2,000: the rest is
 * for signals that come while it ends, up to 100 with each try that the server refuses because of them.
 */
const MAX_HISTORY = 1_000;
/** The same while a run first waited until what it had begun was cancelled. */
const MAX_HISTORY_BEFORE = 1_500;

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
  const lease = new RolloutLease(
    carried?.holder ?? null,
    carried?.queued ?? null,
    carried?.paused ?? null,
    carried?.rollbacks,
    carried?.displaced,
  );
  const history: CaseDesk['history'] = {
    decidedAt: carried?.decidedAt ?? null,
    automaticAt: carried?.automaticAt ?? [],
  };

  // An upsert is an event and work for the server. One or two with every signal made tasks of a lifecycle that is signalled
  // hundreds of times a second so long that the server, which keeps no more than 100 signals back, let none of them end.
  const isSparing = patched('shown-where-it-changed');
  let shownPhase: string | null = null;
  const show = (): void => {
    setCurrentDetails(describeLifecycle(model, cases, lease));
    const phase = cases.find(({ state }) => state !== 'decided')?.state ?? 'watching';
    if (isSparing && phase === shownPhase) return;
    shownPhase = phase;
    upsertSearchAttributes({ [SEARCH_MODEL]: [model], [SEARCH_PHASE]: [phase] });
  };
  const change = (id: string, changed: Partial<DriftCase>): void => {
    cases = cases.map((each) => (each.id === id ? { ...each, ...changed } : each));
    show();
  };

  setHandler(status, () => {
    const { holder: rollout, queued, paused, rollbacks } = lease;
    return { model, cases, rollout, queued, paused, rollbacks: rollbacks.map(({ workflowId }) => workflowId) };
  });

  let children = 0;
  const nextChild = (): string => `${workflowInfo().runId.slice(0, 8)}-${++children}`;
  const watches = leaseWatches({ model, project, lease, show, nextChild });

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
      // Decided cases make room; what is open is never let go.
      const decided = cases
        .filter(({ state }) => state === 'decided')
        .slice(0, Math.max(0, cases.length - MAX_CASES + 1));
      cases = [
        ...cases.filter((each) => !decided.includes(each)),
        { id, source, version, onset, detectedAt, findings: 1, state: 'open' as const, note: '' },
      ];
    }
    show();
  });

  setHandler(acquireRollout, (asking): AcquireAnswer => {
    const answer = lease.ask(asking);
    show();
    return answer;
  });

  /** Tells the one that waited that the lease is its own; whoever is behind it is next where it has ended meanwhile. */
  const handOn = async (): Promise<void> => {
    for (;;) {
      const next = lease.handToNext();
      show();
      if (next === null) return;
      try {
        await getExternalWorkflowHandle(next.workflowId).signal(SIGNAL_GRANTED);
        return;
      } catch {
        if (!lease.giveUp(next.workflowId)) return;
      }
    }
  };
  setHandler(rolloutClosed, async ({ workflowId, at }) => {
    if (!lease.close(workflowId)) return;
    history.decidedAt = at ?? history.decidedAt;
    if (patched('lease-is-handed-on')) return handOn();
    const next = lease.queued;
    show();
    if (next === null || !lease.isFree) return;
    try {
      await getExternalWorkflowHandle(next.workflowId).signal(SIGNAL_GRANTED);
    } catch {
      // It has ended in the meantime: nobody waits any more.
      lease.queued = null;
    }
  });

  setHandler(rollbackBegun, (begun) => {
    const isNews = !lease.isRollingBack(begun.workflowId);
    lease.rollBack(begun);
    show();
    if (isNews) watches.watchRollback(begun.workflowId);
  });

  // Whoever asks something of a model that the project does not have is told so, and leaves no lifecycle behind.
  const known =
    carried === undefined && patched('model-is-checked') ? validation().validateModel(model) : Promise.resolve();
  known.catch(() => undefined);
  setHandler(requestRetrain, async (wanted) => {
    if (patched('requests-are-checked')) await validation().validateRetrain({ ...wanted, model });
    const workflowId = retrainId(project, model, `requested-${nextChild()}`);
    await startChild(retrainModel, {
      workflowId,
      args: [{ ...wanted, model }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
    return { workflowId };
  });
  setHandler(rollback, async (wanted) => {
    if (patched('requests-are-checked')) await validation().validateRollback({ ...wanted, model });
    const workflowId = rollbackId(project, model, `requested-${nextChild()}`);
    await startChild(rollbackModel, {
      workflowId,
      args: [{ ...wanted, model }],
      parentClosePolicy: ParentClosePolicy.ABANDON,
    });
    return { workflowId };
  });
  setHandler(pause, async (asked) => {
    await known;
    lease.paused = asked;
    show();
    return asked;
  });
  setHandler(resume, () => {
    lease.paused = null;
    show();
    return null;
  });
  // Whose answer it is, and that it is used once, is an activity's to see to; the rollout hears of it and looks for itself.
  const answer = async (approved: boolean, given: ApprovalAnswer): Promise<ApprovalDecision> => {
    let decision: ApprovalDecision;
    try {
      decision = await recoveries().checkApproval(model, approved, given);
    } catch (error) {
      throw saidPlainly(error);
    }
    try {
      const waitingFor = lease.holder?.workflowId;
      if (waitingFor !== undefined) await getExternalWorkflowHandle(waitingFor).signal(SIGNAL_APPROVAL, decision);
    } catch {
      // It has ended in the meantime; the decision stands in the registry.
    }
    return decision;
  };
  const validator = (given: ApprovalAnswer): void => {
    refuseAnswer(model, lease.holder, given);
  };
  setHandler(approve, (given) => answer(true, given), { validator });
  setHandler(reject, (given) => answer(false, given), { validator });

  if (patched('holder-is-watched')) watches.watchHolders();
  for (const { workflowId } of carried?.rollbacks ?? []) watches.watchRollback(workflowId);
  show();
  try {
    await known;
  } catch (error) {
    // Whoever asked hears why, before this ends.
    await condition(allHandlersFinished);
    throw error;
  }
  const desk: CaseDesk = { model, project, lease, cases: () => cases, change, history };
  const isLongerThan = (events: number): boolean =>
    workflowInfo().historyLength >= events || workflowInfo().continueAsNewSuggested;
  if (patched('runs-end-at-once')) {
    // What is waited for is waited for again in the next run. It is not cancelled first: an activity takes a second to
    // hear of that, and hundreds of signals come meanwhile.
    await Promise.race([condition(() => isLongerThan(MAX_HISTORY)), judgeCases(desk)]);
  } else if (patched('cases-are-judged-aside')) {
    const isLong = (): boolean => isLongerThan(MAX_HISTORY_BEFORE);
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

  function carriedLease(): Pick<LifecycleCarried, 'holder' | 'queued' | 'paused' | 'rollbacks' | 'displaced'> {
    const { holder, queued, paused, rollbacks, displaced } = lease;
    return { holder, queued, paused, rollbacks, displaced };
  }
}
