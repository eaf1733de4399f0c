import type { OutcomeRecord } from '../../contracts/records.js';
import { compareIds } from '../../features/order.js';
import type { CompiledModel, ComparativeGate } from '../definition.js';
import type { Looks } from './confidence.js';
import { judgeComparative } from './modelGates.js';
import type { Verdict } from './verdict.js';

/** A request of a probation with its label and what both versions said: the promoted one and its predecessor. */
export interface PairedOutcome {
  readonly id: number | string;
  /** Event time of the request. */
  readonly at: number;
  readonly label: number;
  readonly champion: number;
  readonly predecessor: number;
  readonly entity: number | string | null;
}

/** Shares of a probation's positives at which it is judged. */
export const PROBATION_SHARES: readonly number[] = [1 / 3, 2 / 3, 1];

/** What the promoted version may be worse by where the model's gates do not say. */
export const DEFAULT_PROBATION_MARGIN = 0.02;

/**
 * The outcomes that both versions scored, once each with the newest revision of their label, in the order of the requests,
 * but for those whose newest label is not to be trusted:
 * whoever reads the same topic, in whatever order, gets the same rows.
 */
export function pairedOutcomes(
  outcomes: Iterable<OutcomeRecord>,
  versions: { readonly champion: number; readonly predecessor: number },
): readonly PairedOutcome[] {
  const newest = new Map<number | string, OutcomeRecord>();
  for (const outcome of outcomes) {
    const known = newest.get(outcome.id);
    if (known === undefined || outcome.revision > known.revision) newest.set(outcome.id, outcome);
  }
  const paired: PairedOutcome[] = [];
  for (const outcome of newest.values()) {
    if (outcome.source === 'censored') continue;
    const champion = scoreOf(outcome, versions.champion);
    const predecessor = scoreOf(outcome, versions.predecessor);
    if (champion === null || predecessor === null) continue;
    const { id, at, label, entity } = outcome;
    paired.push({ id, at, label, champion, predecessor, entity });
  }
  return paired.sort((a, b) => a.at - b.at || compareIds(a.id, b.id));
}

function scoreOf(outcome: OutcomeRecord, version: number): number | null {
  if (outcome.version === version) return outcome.score;
  return outcome.others.find((other) => other.version === version)?.score ?? null;
}

/**
 * What a probation asks: whatever the trigger, that the promoted version is not worse than its predecessor, by every metric
 * of the comparative gates, of average precision where there is none. The margin is that of the refresh gate; where that
 * states none, as `superior` does, it is two hundredths.
 */
export function probationGates({ refresh, drift }: CompiledModel['gates']): readonly ComparativeGate[] {
  const metrics = new Set([...refresh, ...drift].map(({ metric }) => metric));
  if (metrics.size === 0) metrics.add('average_precision');
  return [...metrics].map((metric) => {
    const declared = refresh.find((gate) => gate.kind === 'notWorse' && gate.metric === metric);
    return declared ?? { kind: 'notWorse', metric, margin: DEFAULT_PROBATION_MARGIN };
  });
}

export interface ProbationOptions {
  /** From `probationGates`. */
  readonly gates: readonly ComparativeGate[];
  readonly looks: Looks;
  /** From champion, predecessor and the rows: whoever repeats the look gets the same numbers. */
  readonly seed: number | string;
  /** Draws of the bootstrap. @default 2000 */
  readonly resamples?: number;
}

/**
 * One look at a probation, a verdict per gate: pass where the difference champion - predecessor lies above -margin with
 * all of its interval, fail where it lies below with all of it, else inconclusive. Over all looks a version that is worse by
 * the margin passes a gate with probability 5 % at most (see confidence.ts).
 */
export function judgeProbation(rows: readonly PairedOutcome[], options: ProbationOptions): readonly Verdict[] {
  const { looks, seed, resamples } = options;
  const labels = Float64Array.from(rows, ({ label }) => label);
  const champion = Float64Array.from(rows, (row) => row.champion);
  const predecessor = Float64Array.from(rows, (row) => row.predecessor);
  const compared = { labels, entities: rows.map(({ entity }) => entity) };
  return options.gates.map((gate): Verdict => {
    const gateSeed = `${seed} ${gate.kind} ${gate.metric} ${looks.look}`;
    const more = resamples === undefined ? { looks } : { looks, resamples };
    const verdict = judgeComparative(gate, 'champion', compared, champion, predecessor, gateSeed, more);
    return { ...verdict, kind: 'outcome' };
  });
}

/**
 * What a probation does after a look: it fails as soon as one gate fails, passes once all do, is open until the last
 * look has left it inconclusive.
 */
export function probationDecided(
  verdicts: readonly Verdict[],
  { shares, look }: Looks,
): 'pass' | 'fail' | 'continue' | 'inconclusive' {
  if (verdicts.some(({ verdict }) => verdict === 'fail')) return 'fail';
  if (verdicts.length > 0 && verdicts.every(({ verdict }) => verdict === 'pass')) return 'pass';
  return look < shares.length ? 'continue' : 'inconclusive';
}
