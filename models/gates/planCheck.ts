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

/**
 * What is wrong with a model's plan, one sentence a phase; nothing where it can be kept. Times are of stream time and are
 * the least that can be expected:
 *
 *     shadow      requests / requests per day
 *     canary      requests / share / requests per day, at each share
 *     probation   label delay + positives / (requests per day x share of positives)
 *
 * A guard that needs more requests than a phase waits for, even if it never sees what it guards against, takes the time of
 * those. Both versions score every request of a canary: its guards rest on both arms.
 */
export function planProblems(model: CompiledModel, { requestsPerDay, positiveShare }: Traffic): readonly string[] {
  assert(requestsPerDay >= 0, `${requestsPerDay} requests a day are none or more`);
  assert(positiveShare >= 0 && positiveShare <= 1, `a share of positives of ${positiveShare} is one of 0..1`);
  const { shadow, canary, probation } = model.rollout;
  const problems: string[] = [];
  const check = (phase: string, evidence: string, needMs: number, atMostMs: number): void => {
    if (needMs <= atMostMs) return;
    const given = formatDuration(atMostMs);
    problems.push(
      `${phase}: ${evidence} at ${requestsPerDay} requests a day takes ${days(needMs)}; atMost is ${given}`,
    );
  };
  const checkRequests = (phase: string, waited: number, share: number, atMostMs: number): void => {
    const guard = mostDemanding(model, waited);
    const inAll = waited / share;
    if (guard.requests > inAll) {
      const evidence = `${guard.name} cannot pass on fewer than ${guard.requests} requests, and that many`;
      check(phase, evidence, (guard.requests / requestsPerDay) * DAY_MS, atMostMs);
    } else {
      check(phase, `its evidence of ${waited} requests`, (inAll / requestsPerDay) * DAY_MS, atMostMs);
    }
  };
  if (shadow !== null) checkRequests('shadow', shadow.requests, 1, shadow.atMostMs);
  for (const share of canary?.shares ?? []) {
    if (canary !== null) checkRequests(`canary at ${share}`, canary.requests, share, canary.atMostMs);
  }
  if (probation !== null) {
    const { positives, atMostMs } = probation;
    const { delayMs } = model.label;
    const needMs = delayMs + (positives / (requestsPerDay * positiveShare)) * DAY_MS;
    const evidence = `a label delay of ${formatDuration(delayMs)} and ${positives} positives, ${positiveShare} of all,`;
    check('probation', evidence, needMs, atMostMs);
  }
  return problems;
}

/** The guard that needs most requests before it can pass at all. Skew is not among them: it counts what is audited. */
function mostDemanding(model: CompiledModel, tunedFor: number): { readonly name: string; readonly requests: number } {
  const { operational } = model.gates;
  let most = { name: 'errors', requests: 0 };
  for (const gate of operational) {
    if (gate.kind === 'skew') continue;
    const requests = leastRequests(marginOf(gate), { alpha: ALPHA / operational.length, tunedFor });
    if (requests > most.requests) most = { name: gate.kind, requests };
  }
  return most;
}

function days(ms: number): string {
  return Number.isFinite(ms) ? `${(ms / DAY_MS).toFixed(1)}d` : 'for ever';
}
