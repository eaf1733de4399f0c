import { assert, TidemillError } from '../../contracts/errors.js';
import { DAY_MS, formatDuration } from '../../contracts/duration.js';
import type { CompiledModel } from '../definition.js';
import { marginOf } from '../operationalGates.js';
import { leastRequests } from '../statistics/confidenceSequence.js';
import { ALPHA } from './confidence.js';

/** What a model's request stream brings, as measured. */
export interface Traffic {
  /** Requests per day of stream time. */
  readonly requestsPerDay: number;
  /** Share of the requests whose label is positive. */
  readonly positiveShare: number;
}

/**
 * Refuses a rollout that cannot end: a phase that is given less time than its evidence takes to come in. See `planProblems`.
 *
 * @throws TidemillError PLAN_UNREACHABLE, naming every phase at fault
 */
export function checkPlan(model: CompiledModel, traffic: Traffic): void {
  const problems = planProblems(model, traffic);
  if (problems.length === 0) return;
  throw new TidemillError('PLAN_UNREACHABLE', `${model.name}: ${problems.join('; ')}`, { ...traffic, problems });
}

/** A phase of a rollout: what it waits for, and the least time that takes. Stream time, ms. */
export interface PlannedPhase {
  /** `shadow`, `canary at 0.1`, `bake`, `probation` */
  readonly phase: string;
  readonly evidence: string;
  /** Infinity where the evidence never comes. */
  readonly needMs: number;
  readonly atMostMs: number;
}

/** Of traffic that nobody has measured: nothing but delays takes time. */
export const BOUNDLESS: Traffic = { requestsPerDay: Number.POSITIVE_INFINITY, positiveShare: 1 };

/** What is wrong with a model's plan, one sentence a phase; nothing where it can be kept. See `planPhases`. */
export function planProblems(model: CompiledModel, traffic: Traffic): readonly string[] {
  const at = Number.isFinite(traffic.requestsPerDay) ? ` at ${traffic.requestsPerDay} requests a day` : '';
  return planPhases(model, traffic)
    .filter(({ needMs, atMostMs }) => needMs > atMostMs)
    .map(({ phase, evidence, needMs, atMostMs }) => {
      const needed = Number.isFinite(needMs) ? `${(needMs / DAY_MS).toFixed(1)}d` : 'for ever';
      return `${phase}: ${evidence}${at} takes ${needed}; atMost is ${formatDuration(atMostMs)}`;
    });
}

/**
 * The phases of a model's rollout that wait, in order. Times are of stream time and are the least that can be expected:
 *
 *     shadow      requests / requests per day
 *     canary      requests / share / requests per day, at each share
 *     bake        what it is given
 *     probation   label delay + positives / (requests per day x share of positives)
 *
 * A guard that needs more requests than a phase waits for, even if it never sees what it guards against, takes the time of
 * those. Both versions score every request of a canary: its guards rest on both arms.
 */
export function planPhases(model: CompiledModel, { requestsPerDay, positiveShare }: Traffic): readonly PlannedPhase[] {
  assert(requestsPerDay >= 0, `${requestsPerDay} requests a day are none or more`);
  assert(positiveShare >= 0 && positiveShare <= 1, `a share of positives of ${positiveShare} is one of 0..1`);
  const { shadow, canary, bakeMs, probation } = model.rollout;
  const phases: PlannedPhase[] = [];
  const addRequests = (phase: string, waited: number, share: number, atMostMs: number): void => {
    const guard = mostDemanding(model, waited);
    const inAll = waited / share;
    const [evidence, requests] =
      guard.requests > inAll
        ? [`${guard.name} cannot pass on fewer than ${guard.requests} requests, and that many`, guard.requests]
        : [`its evidence of ${waited} requests`, inAll];
    phases.push({ phase, evidence, needMs: (requests / requestsPerDay) * DAY_MS, atMostMs });
  };
  if (shadow !== null) addRequests('shadow', shadow.requests, 1, shadow.atMostMs);
  for (const share of canary?.shares ?? []) {
    if (canary !== null) addRequests(`canary at ${share}`, canary.requests, share, canary.atMostMs);
  }
  if (bakeMs !== null) phases.push({ phase: 'bake', evidence: 'its time', needMs: bakeMs, atMostMs: bakeMs });
  if (probation !== null) {
    const { positives, atMostMs } = probation;
    const { delayMs } = model.label;
    const needMs = delayMs + (positives / (requestsPerDay * positiveShare)) * DAY_MS;
    const share = Number.isFinite(requestsPerDay) ? `, ${positiveShare} of all,` : '';
    const evidence = `a label delay of ${formatDuration(delayMs)} and ${positives} positives${share}`;
    phases.push({ phase: 'probation', evidence, needMs, atMostMs });
  }
  return phases;
}

/** The guard that needs most requests before it can pass at all; an audit recomputes no more vectors than there are requests. */
function mostDemanding(model: CompiledModel, tunedFor: number): { readonly name: string; readonly requests: number } {
  const { operational } = model.gates;
  let most = { name: 'errors', requests: 0 };
  for (const gate of operational) {
    const requests = leastRequests(marginOf(gate), { alpha: ALPHA / operational.length, tunedFor });
    if (requests > most.requests) most = { name: gate.kind, requests };
  }
  return most;
}
