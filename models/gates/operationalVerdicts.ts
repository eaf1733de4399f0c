import { formatDuration } from '../../contracts/duration.js';
import type { OperationalGate } from '../definition.js';
import { marginOf } from '../operationalGates.js';
import {
  differenceSequence,
  MIN_ENTITIES,
  groupSequence,
  shareSequence,
  type SequenceBounds,
  type SequenceOptions,
  widest,
} from '../statistics/confidenceSequence.js';
import { ALPHA } from './confidence.js';
import { ASKED, CHAMPION_FAILED, COMPARED, DIFFERING, FAILED, SLOW, type EntityCounts } from './entityCounts.js';
import type { BatchSums } from './batchSums.js';
import { causesInWords, skewSums, type SkewState } from './skewCounts.js';
import type { Verdict } from './verdict.js';

export interface OperationalFacts {
  readonly counts: EntityCounts;
  readonly batches: BatchSums;
  readonly skew: SkewState;
  /** Why agreement does not apply; null where it does. Decided before any request is seen. */
  readonly noAgreement: string | null;
  /** Requests at which the bounds are to be tightest. */
  readonly tunedFor: number;
}

/** So many requests, all of them failed, are no bad luck, whoever made them. */
const ALL_FAILED_REQUESTS = 20;

/**
 * Judges the guards by confidence sequences over entities, latency over micro-batches, too (the wider decides), so that it may be asked at any time and as often as one likes. A guard passes
 * where the upper bound of its share is below the margin and fails where the lower one is above; alpha is shared among the
 * guards that apply. A vector that is not what the features say within its cut fails skew by itself. Before there are enough entities nothing passes or fails, but for a version that failed on every one
 * of at least twenty requests where the champion did not: it fails.
 *
 * @param look its number, from 1, for the record.
 */
export function judgeOperational(gates: readonly OperationalGate[], facts: OperationalFacts, look: number): Verdict[] {
  const applicable = gates.filter(({ kind }) => kind !== 'agreement' || facts.noAgreement === null);
  const alpha = ALPHA / applicable.length;
  return gates.map((gate) => {
    const head = { gate: nameOf(gate), kind: 'operational', bound: marginOf(gate), look } as const;
    if (gate.kind === 'agreement' && facts.noAgreement !== null) {
      const nothing = { value: null, low: null, high: null, rows: 0, positives: 0 };
      return { ...head, ...nothing, verdict: 'notApplicable', reason: facts.noAgreement };
    }
    const options = { alpha, tunedFor: facts.tunedFor, margin: head.bound };
    return { ...head, ...judged(gate, facts, options) };
  });
}

type Judged = Pick<Verdict, 'verdict' | 'value' | 'low' | 'high' | 'rows' | 'positives' | 'reason'>;

function judged(gate: OperationalGate, { counts, batches, skew }: OperationalFacts, options: SequenceOptions): Judged {
  switch (gate.kind) {
    case 'latency': {
      // Those that the version failed on have no time of its own.
      const failed = counts.column(FAILED);
      const requests = counts.column(ASKED).map((asked, place) => asked - (failed[place] as number));
      const slow = counts.column(SLOW);
      const limit = formatDuration(gate.underMicros / 1_000);
      const byEntity = shareSequence({ events: slow, requests }, options);
      const byBatch = groupSequence(batches.sums(), options);
      const unit = byBatch.effectiveEntities < byEntity.effectiveEntities ? 'micro-batches' : 'entities';
      const bounds = widest(byEntity, byBatch);
      return verdictOf(bounds, sum(slow), `were not scored within ${limit}`, options, unit);
    }
    case 'agreement': {
      const sums = counts.sums(DIFFERING, COMPARED);
      const differing = counts.column(DIFFERING);
      return verdictOf(
        shareSequence(sums, options),
        sum(differing),
        'were decided otherwise than by the champion',
        options,
      );
    }
    case 'errors': {
      const [own, champion] = [counts.sums(FAILED, ASKED), counts.sums(CHAMPION_FAILED, ASKED)];
      const failed = sum(own.events);
      const bounds = differenceSequence(own, champion, options);
      const verdict = verdictOf(bounds, failed, 'saw the version fail, less those that saw the champion fail', options);
      // Above 0: the champion did not fail on all of them, too.
      const hasAllFailed = failed === bounds.requests && failed >= ALL_FAILED_REQUESTS && bounds.estimate > 0;
      if (verdict.verdict !== 'inconclusive' || !hasAllFailed) return verdict;
      return { ...verdict, verdict: 'fail', reason: `the version failed on every one of ${failed} requests` };
    }
    case 'skew': {
      const verdict = skewVerdict(skew, options);
      if (skew.defects > 0) {
        const reason = `${skew.defects} served vectors are not what the features say within their cut: ${skew.defect ?? ''}`;
        return { ...verdict, verdict: 'fail', reason };
      }
      return skew.vectors.length > 0 ? verdict : { ...verdict, reason: 'no served vector has been recomputed' };
    }
  }
}

function skewVerdict(skew: SkewState, options: SequenceOptions): Judged {
  const causes = causesInWords(skew.causes);
  const what = `were served otherwise than recomputed in event time${causes === '' ? '' : ` (${causes})`}`;
  return verdictOf(shareSequence(skewSums(skew), options), sum(skew.differing), what, options);
}

/**
 * What an audit by itself says of a model's skew, by the same bounds as the gate; vectors that are wrong within their cut
 * are a matter of their own.
 *
 * @param vectors number of them at which the bounds are to be tightest.
 */
export function judgeSkew(margin: number, skew: SkewState, vectors: number): Pick<Verdict, 'verdict' | 'reason'> {
  const { verdict, reason } = skewVerdict(skew, { alpha: ALPHA, tunedFor: vectors, margin });
  return { verdict, reason };
}

function verdictOf(
  bounds: SequenceBounds,
  events: number,
  what: string,
  { margin = 0 }: SequenceOptions,
  unit = 'entities',
): Judged {
  const { estimate, requests } = bounds;
  // Shares, and differences of shares, lie within these: a bound beyond says no more.
  const low = bounds.low === null ? null : Math.max(-1, bounds.low);
  const high = bounds.high === null ? null : Math.min(1, bounds.high);
  const value = Number.isNaN(estimate) ? null : estimate;
  const numbers = { value, low, high, rows: requests, positives: events };
  if (value === null) return { ...numbers, verdict: 'inconclusive', reason: 'there are no requests' };
  if (low === null || high === null) {
    const entities = `${bounds.entities} ${unit}, worth ${Math.floor(bounds.effectiveEntities)} of equal size`;
    const reason = `${requests} requests of ${entities}, are too few to tell: ${MIN_ENTITIES} are needed`;
    return { ...numbers, verdict: 'inconclusive', reason };
  }
  const percent = (share: number): string => `${(share * 100).toFixed(3)} %`;
  return {
    ...numbers,
    verdict: high < margin ? 'pass' : low > margin ? 'fail' : 'inconclusive',
    reason: `${percent(value)} of ${requests} requests ${what}, in [${percent(low)}, ${percent(high)}]; below ${percent(margin)} is asked`,
  };
}

/**
 * What a phase does next: it fails as soon as one guard fails, passes once all that it waits for is there and every guard
 * that applies has passed, and goes on otherwise.
 *
 * @param isComplete the requests, or the time, that the phase asks for are there.
 */
export function decided(verdicts: readonly Verdict[], isComplete: boolean): 'pass' | 'fail' | 'continue' {
  if (verdicts.some(({ verdict }) => verdict === 'fail')) return 'fail';
  const applicable = verdicts.filter(({ verdict }) => verdict !== 'notApplicable');
  const allPass = applicable.length > 0 && applicable.every(({ verdict }) => verdict === 'pass');
  return allPass && isComplete ? 'pass' : 'continue';
}

function nameOf(gate: OperationalGate): string {
  if (gate.kind !== 'latency') return `${gate.kind}(${gate.margin})`;
  return `latency(${gate.share}, ${formatDuration(gate.underMicros / 1_000)})`;
}

function sum(values: ArrayLike<number>): number {
  let total = 0;
  for (let at = 0; at < values.length; at++) total += values[at] as number;
  return total;
}
