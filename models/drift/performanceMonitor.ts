import type { DriftRecord, OutcomeRecord } from '../../contracts/records.js';
import { compareIds } from '../../features/order.js';
import { rowLogLoss } from '../metrics/probability.js';
import { createAdwin, decodeAdwin, type Adwin } from './adwin.js';

/**
 * Watches the prequential error of the champion: the log loss of its own score of each request once the label is known, in
 * the order of the requests, under ADWIN. Where the challenger of a canary served, the champion's score stands beside it:
 * so the series is of all requests in every mode, one version at a time, and a canary neither thins it nor ends it.
 *
 * Outcomes come in the order in which labels become known, from several partitions. They are held until the bucket of
 * event time that they belong to is complete, so that the series, and with it every detection, does not depend on arrival.
 *
 *   labels known up to 10:20, label delay 7 d -> requests up to 10:20 a week earlier are complete
 */
export interface MonitorOptions {
  readonly model: string;
  readonly labelDelayMs: number;
  /** Partitions that outcomes come from, each in the order in which its labels became known. */
  readonly partitions: number;
  /** Length of a bucket. @default 10 minutes */
  readonly bucketMs?: number;
  /** Outcomes of a version before detections count. @default 5000 */
  readonly warmUp?: number;
  readonly delta?: number;
}

/** A loss above this counts as this: the detector is for bounded values. */
const MAX_LOSS = 8;

/** Losses of one bucket of event time: what a change is dated by. */
interface LossBucket {
  readonly at: number;
  rows: number;
  sum: number;
}

/** Buckets are kept for about a year; a change further back is dated to the oldest. */
const MAX_BUCKETS = 50_000;

type Held = Pick<OutcomeRecord, 'id' | 'at' | 'version' | 'score' | 'label'>;

interface MonitorState {
  readonly held: readonly Held[];
  readonly known: readonly (number | null)[];
  readonly closedUpTo: number | null;
  readonly version: number | null;
  readonly seen: number;
  readonly sequence: number;
  /** Base64. */
  readonly adwin: string;
  readonly buckets: readonly LossBucket[];
}

export class PerformanceMonitor {
  private held: Held[] = [];
  /** Time up to which labels are known, by partition. */
  private readonly known: number[];
  private closedUpTo = Number.NEGATIVE_INFINITY;
  private version: number | null = null;
  private seen = 0;
  private sequence = 0;
  private adwin: Adwin;
  private buckets: LossBucket[] = [];
  private readonly bucketMs: number;

  constructor(private readonly options: MonitorOptions) {
    this.bucketMs = options.bucketMs ?? 600_000;
    this.known = new Array<number>(options.partitions).fill(Number.NEGATIVE_INFINITY);
    this.adwin = this.newDetector();
  }

  private newDetector(): Adwin {
    return createAdwin(this.options.delta === undefined ? {} : { delta: this.options.delta });
  }

  /** All labels up to here are known: the least of the partitions. */
  private get knownUpTo(): number {
    return Math.min(...this.known);
  }

  /** Takes one outcome; returns what it detects. */
  update(outcome: OutcomeRecord, partition: number): DriftRecord[] {
    const champion = outcome.revision > 0 || outcome.source === 'censored' ? null : championOf(outcome);
    if (champion !== null && outcome.at > this.closedUpTo) {
      const { id, at, label } = outcome;
      this.held.push({ id, at, version: champion.version, score: champion.score, label });
    }
    if (outcome.knownAt <= (this.known[partition] as number)) return [];
    this.known[partition] = outcome.knownAt;
    const complete = Math.floor((this.knownUpTo - this.options.labelDelayMs) / this.bucketMs) * this.bucketMs - 1;
    return complete > this.closedUpTo ? this.close(complete) : [];
  }

  /** All requests up to `until` have their label. */
  private close(until: number): DriftRecord[] {
    this.closedUpTo = until;
    const complete = this.held.filter(({ at }) => at <= until).sort((a, b) => a.at - b.at || compareIds(a.id, b.id));
    this.held = this.held.filter(({ at }) => at > until);
    return complete.flatMap((row) => this.feed(row));
  }

  private feed({ at, version, score, label }: Held): DriftRecord[] {
    if (version !== this.version) {
      // Another version has errors of its own.
      this.version = version;
      this.restart();
    }
    this.seen++;
    const loss = Math.min(rowLogLoss(label, score), MAX_LOSS) / MAX_LOSS;
    this.keep(at, loss);
    const before = this.adwin.mean;
    if (!this.adwin.update(loss)) return [];
    const after = this.adwin.mean;
    const onset = estimateOnset(this.buckets);
    // An improvement, or a cut before the version is known well enough: the detector keeps what it cut its window to.
    if (after <= before || this.seen <= (this.options.warmUp ?? 5_000)) return [];
    this.restart();
    this.sequence++;
    return [
      {
        model: this.options.model,
        source: 'performance/log_loss',
        sequence: this.sequence,
        kind: 'performance',
        detector: 'adwin',
        version,
        onset,
        detectedAt: this.knownUpTo,
        statistic: after - before,
        threshold: this.options.delta ?? 0.002,
        before: before * MAX_LOSS,
        after: after * MAX_LOSS,
      },
    ];
  }

  private keep(at: number, loss: number): void {
    const start = Math.floor(at / this.bucketMs) * this.bucketMs;
    const last = this.buckets.at(-1);
    if (last !== undefined && last.at === start) {
      last.rows++;
      last.sum += loss;
      return;
    }
    this.buckets.push({ at: start, rows: 1, sum: loss });
    if (this.buckets.length > 2 * MAX_BUCKETS) this.buckets = this.buckets.slice(-MAX_BUCKETS);
  }

  private restart(): void {
    this.seen = 0;
    this.buckets = [];
    this.adwin = this.newDetector();
  }

  encode(): MonitorState {
    const finite = (time: number): number | null => (Number.isFinite(time) ? time : null);
    return {
      held: this.held,
      known: this.known.map(finite),
      closedUpTo: finite(this.closedUpTo),
      version: this.version,
      seen: this.seen,
      sequence: this.sequence,
      adwin: Buffer.from(this.adwin.encode()).toString('base64'),
      buckets: this.buckets,
    };
  }

  decode(state: MonitorState): void {
    this.held = [...state.held];
    for (const [partition, time] of state.known.entries()) this.known[partition] = time ?? Number.NEGATIVE_INFINITY;
    this.closedUpTo = state.closedUpTo ?? Number.NEGATIVE_INFINITY;
    this.version = state.version;
    this.seen = state.seen;
    this.sequence = state.sequence;
    this.adwin = decodeAdwin(Buffer.from(state.adwin, 'base64'));
    this.buckets = state.buckets.map((bucket) => ({ ...bucket }));
  }
}

/**
 * What the champion itself said; null where it said nothing. The fallback's scores, version 0 among them, say nothing about
 * a model.
 */
function championOf({ role, version, score, others }: OutcomeRecord): { version: number; score: number } | null {
  if (role === 'champion') return { version, score };
  const [champion] = role === 'challenger' ? others : [];
  return champion === undefined || champion.version === 0 ? null : champion;
}

/**
 * Where a rise of the mean began: the cumulative sum of the deviations from the overall mean falls before it and climbs
 * after it, so it began behind the least value. (ADWIN says that there was a change; the part of its window that is left
 * over begins long before it where the change is small.)
 *
 *   losses      1 1 1 1 | 3 3        mean 5/3
 *   cumulated   -.7 -1.3 -2 -2.7 -1.3 0     least behind the fourth
 */
function estimateOnset(buckets: readonly LossBucket[]): number {
  let rows = 0;
  let sum = 0;
  for (const bucket of buckets) {
    rows += bucket.rows;
    sum += bucket.sum;
  }
  const mean = sum / rows;
  let cumulated = 0;
  let least = 0;
  let onset = buckets[0]?.at ?? 0;
  for (const [at, bucket] of buckets.entries()) {
    cumulated += bucket.sum - bucket.rows * mean;
    if (cumulated >= least) continue;
    least = cumulated;
    onset = buckets[at + 1]?.at ?? bucket.at;
  }
  return onset;
}
