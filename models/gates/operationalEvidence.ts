import { assert } from '../../contracts/errors.js';
import type { PredictionRecord } from '../../contracts/records.js';
import type { OperationalGate } from '../definition.js';
import { BatchSums, type BatchSumsState } from './batchSums.js';
import {
  ASKED,
  CHAMPION_FAILED,
  COMPARED,
  DIFFERING,
  EntityCounts,
  FAILED,
  SLOW,
  type EntityCountsState,
} from './entityCounts.js';
import { corruptEvidence, wholeNumber } from './evidenceState.js';
import { judgeOperational } from './operationalVerdicts.js';
import { decodeSkew, NO_SKEW_COUNTED, skewState, type SkewFound, type SkewState } from './skewCounts.js';
import type { Verdict } from './verdict.js';

/** What is read of a prediction. */
export type OperationalRow = Pick<
  PredictionRecord,
  'version' | 'role' | 'arm' | 'decision' | 'micros' | 'others' | 'entity' | 'source'
>;

/**
 * The phase in which evidence is gathered.
 *
 *   shadow   the champion serves, the challenger scores as well
 *   canary   each serves its arm and scores the requests of the other
 *   bake     the challenger is promoted and serves; the champion is its predecessor, where it still scores
 */
export type EvidenceMode = 'shadow' | 'canary' | 'bake';

export interface OperationalOptions {
  /** Of the model: `gates.operational`. */
  readonly gates: readonly OperationalGate[];
  readonly challenger: number;
  /** Null where the model's fallback rules serve: before the first version. */
  readonly champion: number | null;
  readonly mode: EvidenceMode;
  /**
   * Requests that the phase waits for, at least 1, as `requests` of the evidence counts them; for a bake those that it may
   * expect. The bounds are tightest about there; ten times more or fewer widen them by less than a tenth.
   */
  readonly requests: number;
}

/** All that evidence remembers: plain, whole numbers, for a heartbeat or a file. */
export interface OperationalState {
  readonly format: 2;
  readonly mode: EvidenceMode;
  readonly challenger: number;
  readonly champion: number | null;
  /** The limit by which requests were counted as slow. */
  readonly underMicros: number | null;
  readonly requests: number;
  readonly skew: SkewState;
  readonly counts: EntityCountsState;
  readonly batches: BatchSumsState;
}

/**
 * What the predictions of one phase say about a challenger without any label. A version is judged on every request that
 * it was asked to score, whether it served it or not. In a canary of version 2 against version 1:
 *
 *     row                                        the challenger   the champion
 *     version 2, others: 1 -> .31 review         scored           scored         decisions are compared
 *     version 1, others: 2 -> null               failed           scored
 *     version 1 in the arm of 2, others: none    failed           scored         stood in for
 *     role fallback in the arm of 2              failed           failed         nobody could stand in
 *     version 1 in its own arm, others: none     was not asked    scored         not counted
 *
 * Both are compared on the same requests, so that what makes requests differ cancels; a champion that was not asked counts
 * as one that did not fail. Feed it the rows of one deployment, each once, those of a source partition in the order of the log.
 * Observing is a few additions to the sums of an entity and of a micro-batch, evidence from several partitions is merged in
 * any order, and a judgement is one pass over the entities.
 */
export class OperationalEvidence {
  private readonly underMicros: number | null;
  private readonly counts = new EntityCounts();
  private readonly batches: BatchSums;
  private ofArm = 0;
  private skew: SkewState = NO_SKEW_COUNTED;

  constructor(private readonly options: OperationalOptions) {
    assert(options.requests >= 1, `evidence is tuned for ${options.requests} requests, at least 1`);
    this.underMicros = options.gates.find((gate) => gate.kind === 'latency')?.underMicros ?? null;
    this.batches = new BatchSums(this.underMicros ?? 0);
  }

  /** Those of the challenger's arm in a canary; else all that the challenger was asked to score. */
  get requests(): number {
    return this.ofArm;
  }

  /** Hot path: nothing is allocated but the sums of a new entity. */
  observe(row: OperationalRow): void {
    const { challenger, champion, mode } = this.options;
    const isOfChallenger = mode === 'bake' || (mode === 'canary' && row.arm === 'challenger');
    const own = placeOf(row, challenger);
    // Whoever was to serve and did not has failed; another one that says nothing was not asked.
    if (own === ABSENT && !isOfChallenger) return;
    const start = this.counts.startOf(row.entity);
    const { values } = this.counts;
    increment(values, start + ASKED);
    if (isOfChallenger || mode === 'shadow') this.ofArm++;

    const hasScored = own === SERVED || (own >= 0 && row.others[own]?.score !== null);
    if (!hasScored) increment(values, start + FAILED);
    else if (this.underMicros !== null) {
      const micros = microsOf(row, own);
      if (micros >= this.underMicros) increment(values, start + SLOW);
      this.batches.observe(row.source.partition, micros);
    }

    if (champion === null) return;
    const other = placeOf(row, champion);
    const hasOtherScored = other === SERVED || (other >= 0 && row.others[other]?.score !== null);
    if (!hasOtherScored) {
      // The champion serves its own requests and stands in for the challenger: a fallback says that it could not.
      const wasAsked = other !== ABSENT || !isOfChallenger || (mode === 'canary' && row.role === 'fallback');
      if (wasAsked) increment(values, start + CHAMPION_FAILED);
    } else if (hasScored) {
      increment(values, start + COMPARED);
      if (decisionOf(row, own) !== decisionOf(row, other)) increment(values, start + DIFFERING);
    }
  }

  /** What the newest audit of this phase has found; it takes the place of what an earlier one had. */
  observeSkew(found: SkewFound): void {
    this.skew = skewState(found);
  }

  /**
   * One verdict per gate, in their order. May be asked at any time and as often as one likes.
   *
   * @param look its number, from 1, for the record.
   */
  judge(look: number): readonly Verdict[] {
    const { gates, champion, mode, requests } = this.options;
    const noAgreement =
      champion === null
        ? 'there is no champion yet'
        : mode === 'bake'
          ? 'the version is promoted: how far it agrees has been decided before'
          : null;
    const { counts, batches, skew } = this;
    return judgeOperational(gates, { counts, batches, skew, noAgreement, tunedFor: requests }, look);
  }

  /**
   * Adds what was observed elsewhere in the same phase: rows of other source partitions, or later ones of the same. Of two
   * audits the one of more vectors stays.
   */
  merge(other: OperationalEvidence): void {
    assert(isSame(this.identity(), other.identity()), 'evidence of one phase is merged with its like');
    this.counts.add(other.counts);
    this.batches.add(other.batches);
    this.ofArm += other.ofArm;
    if (total(other.skew.vectors) > total(this.skew.vectors)) this.skew = other.skew;
  }

  encode(): OperationalState {
    const { counts, batches, skew } = this;
    return { ...this.identity(), requests: this.ofArm, skew, counts: counts.encode(), batches: batches.encode() };
  }

  /**
   * Evidence as it was when it was encoded.
   *
   * @param state from `encode`, perhaps through JSON.
   * @throws TidemillError STATE_CORRUPT, also where it is that of another phase or of another latency limit.
   */
  static decode(options: OperationalOptions, state: unknown): OperationalEvidence {
    const evidence = new OperationalEvidence(options);
    const read = (state ?? {}) as Partial<Record<keyof OperationalState, unknown>>;
    if (!isSame(evidence.identity(), read)) {
      const { format, mode, challenger, champion, underMicros } = read;
      const found = JSON.stringify({ format, mode, challenger, champion, underMicros });
      throw corruptEvidence(`it is of ${found}, not of ${JSON.stringify(evidence.identity())}`);
    }
    evidence.skew = decodeSkew(read.skew);
    evidence.ofArm = wholeNumber('requests', read.requests);
    evidence.counts.add(EntityCounts.decode(read.counts));
    evidence.batches.add(BatchSums.decode(evidence.underMicros ?? 0, read.batches));
    return evidence;
  }

  private identity(): Pick<OperationalState, 'format' | 'mode' | 'challenger' | 'champion' | 'underMicros'> {
    const { mode, challenger, champion } = this.options;
    return { format: 2, mode, challenger, champion, underMicros: this.underMicros };
  }
}

/** Places of a version in a row: it served it, or nothing is said of it; else its index among the others. */
const SERVED = -1;
const ABSENT = -2;

function placeOf({ version, others }: OperationalRow, wanted: number): number {
  // Also where it served as the fallback of its successor.
  if (version === wanted) return SERVED;
  for (let at = 0; at < others.length; at++) if (others[at]?.version === wanted) return at;
  return ABSENT;
}

function microsOf(row: OperationalRow, place: number): number {
  return place === SERVED ? row.micros : (row.others[place]?.micros ?? 0);
}

function decisionOf(row: OperationalRow, place: number): string | null {
  return place === SERVED ? row.decision : (row.others[place]?.decision ?? null);
}

function total(counts: readonly number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

function increment(values: Float64Array, at: number): void {
  values[at] = (values[at] as number) + 1;
}

function isSame(
  a: Pick<OperationalState, 'format' | 'mode' | 'challenger' | 'champion' | 'underMicros'>,
  b: Partial<Record<keyof OperationalState, unknown>>,
): boolean {
  return (
    a.format === b.format &&
    a.mode === b.mode &&
    a.challenger === b.challenger &&
    a.champion === b.champion &&
    a.underMicros === b.underMicros
  );
}
