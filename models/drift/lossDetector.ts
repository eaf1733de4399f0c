import type { DriftRecord } from '../../contracts/records.js';
import { finiteOrNull } from '../../features/finiteOrNull.js';
import { leastActive } from '../../features/progress.js';
import { parseState } from '../monitoring/parseState.js';
import { createAdwin, decodeAdwin, type Adwin } from './adwin.js';
import { completeUpTo, LOSS_BUCKET_MS, MAX_LOSS } from './championLosses.js';
import { decodeLosses, type LossColumns } from './lossColumns.js';
import { LossHistory } from './lossHistory.js';
import { LossQueue } from './lossQueue.js';

/**
 * Watches the champion's prequential error: its losses of all partitions, in the order of the requests, one version at a time,
 * under ADWIN. A detector's answer depends on the order of its values, so these are rows and not counts.
 *
 *   1. queue what a partition has closed
 *   2. when every partition that is not idle has closed a bucket, take its rows in the order of time and id
 *   3. feed each to the detector; another version starts it anew
 *   4. report a rise of the mean, with its onset, once the version is known well enough
 *
 * The series, and with it every finding, does not depend on how the partitions mix, while none falls silent. Rows of one that did,
 * and that the others have passed, count when they come, as the newest; those of a version that is no longer watched do not.
 *
 * A series that begins in the midst of what there was, as after a reset that does not go back to the start, counts its findings
 * anew: under a source of its own, so that none of them is taken for one that is known.
 */
export interface DetectorOptions {
  readonly model: string;
  /** Of the topology: names the source of a series that begins in the midst. */
  readonly generation: number;
  readonly labelDelayMs: number;
  /** Partitions that losses come from. */
  readonly partitions: number;
  /** Losses of a version before detections count. @default 5000 */
  readonly warmUp?: number;
  /** Chance of a false alarm per test of ADWIN. @default 0.002 */
  readonly delta?: number;
}

/** What is known of a partition. */
interface Partition {
  /** Time up to which its labels are known. */
  knownUpTo: number;
  isIdle: boolean;
}

interface DetectorState {
  readonly known: readonly (number | null)[];
  /** States of before anybody was said to be idle have none of these three. */
  readonly idle?: readonly boolean[];
  readonly knownUpTo?: number | null;
  readonly newest?: number | null;
  /** By partition: blocks received, and the row of the oldest that is left. */
  readonly lanes: readonly (readonly [next: number, row: number])[];
  readonly isPartial: boolean;
  readonly version: number | null;
  readonly seen: number;
  readonly sequence: number;
  /** Base64. */
  readonly adwin: string;
}

export class LossDetector {
  private readonly partitions: readonly Partition[];
  private known = Number.NEGATIVE_INFINITY;
  private readonly queue: LossQueue;
  /** Blocks as they came, until they are used up; null for one that is. */
  private readonly changed = new Map<string, Uint8Array | null>();
  private isPartial = false;
  private version: number | null = null;
  /** Greatest time of a row that was fed. */
  private newest = Number.NEGATIVE_INFINITY;
  private seen = 0;
  private sequence = 0;
  private adwin: Adwin;
  private readonly history = new LossHistory();
  private found: DriftRecord[] = [];

  constructor(private readonly options: DetectorOptions) {
    const unheard = (): Partition => ({ knownUpTo: Number.NEGATIVE_INFINITY, isIdle: false });
    this.partitions = Array.from({ length: options.partitions }, unheard);
    this.queue = new LossQueue(options.partitions);
    this.adwin = this.newDetector();
  }

  private newDetector(): Adwin {
    return createAdwin(this.options.delta === undefined ? {} : { delta: this.options.delta });
  }

  /** All labels up to here are known: the least of the partitions that are not idle; -Infinity before all have said. */
  get knownUpTo(): number {
    return this.known;
  }

  /**
   * Takes a block of one partition; returns what it detects.
   *
   * @param bytes the same encoded.
   */
  take(columns: LossColumns, bytes: Uint8Array): DriftRecord[] {
    // 1 queue
    const { upstream, knownUpTo, from, isIdle } = columns;
    const partition = this.partitions[upstream] as Partition;
    if (from !== null && partition.knownUpTo === Number.NEGATIVE_INFINITY) this.isPartial = true;
    partition.isIdle = isIdle;
    const sequence = this.queue.push(columns);
    if (columns.at.length > 0) this.changed.set(blockKey(upstream, sequence), bytes);
    if (knownUpTo === null && columns.at.length > 0) return [];
    partition.knownUpTo = Math.max(partition.knownUpTo, knownUpTo ?? Number.NEGATIVE_INFINITY);
    // Who wakes late does not take it back.
    this.known = Math.max(
      this.known,
      leastActive(this.partitions, (each) => each.knownUpTo),
    );
    if (!Number.isFinite(this.known)) return [];
    // 2 in order
    this.queue.drain(
      completeUpTo(this.knownUpTo, this.options.labelDelayMs),
      (at, version, loss) => this.feed(at, version, loss),
      (lane, used) => this.changed.set(blockKey(lane, used), null),
    );
    const { found } = this;
    this.found = [];
    return found;
  }

  // 3 feed
  private feed(time: number, version: number, loss: number): void {
    // The others have gone past it: two versions are not watched in turns.
    if (time < this.newest && version !== this.version) return;
    this.newest = Math.max(this.newest, time);
    const at = this.newest;
    if (version !== this.version) {
      // Another version has errors of its own.
      this.version = version;
      this.restart();
    }
    this.seen++;
    this.history.add(at, loss);
    const before = this.adwin.mean;
    if (this.adwin.update(loss)) this.judge(at, version, before, this.adwin.mean);
  }

  // 4 report
  private judge(at: number, version: number, before: number, after: number): void {
    // An improvement, or a cut before the version is known well enough: the detector keeps what it cut its window to.
    if (after <= before || this.seen <= (this.options.warmUp ?? 5_000)) return;
    const onset = this.history.estimateOnset();
    this.restart();
    this.sequence++;
    this.found.push({
      model: this.options.model,
      source: this.isPartial ? `performance/log_loss/g${this.options.generation}` : 'performance/log_loss',
      sequence: this.sequence,
      kind: 'performance',
      detector: 'adwin',
      version,
      onset,
      // A partition may be far ahead: what counts is when the last row's bucket was complete.
      detectedAt: (Math.floor(at / LOSS_BUCKET_MS) + 1) * LOSS_BUCKET_MS + this.options.labelDelayMs,
      statistic: after - before,
      threshold: this.options.delta ?? 0.002,
      before: before * MAX_LOSS,
      after: after * MAX_LOSS,
    });
  }

  private restart(): void {
    this.seen = 0;
    this.history.clear();
    this.adwin = this.newDetector();
  }

  /** What changed since the last call, value null for what is gone. */
  *entries(): Iterable<readonly [key: string, value: Uint8Array | null]> {
    yield* this.changed;
    this.changed.clear();
    for (const [key, value] of this.history.entries()) yield [`h${key}`, value === null ? null : Buffer.from(value)];
    const state: DetectorState = {
      known: this.partitions.map(({ knownUpTo }) => finiteOrNull(knownUpTo)),
      idle: this.partitions.map(({ isIdle }) => isIdle),
      knownUpTo: finiteOrNull(this.known),
      newest: finiteOrNull(this.newest),
      lanes: this.queue.lanes.map(({ next, row }) => [next, row]),
      isPartial: this.isPartial,
      version: this.version,
      seen: this.seen,
      sequence: this.sequence,
      adwin: Buffer.from(this.adwin.encode()).toString('base64'),
    };
    yield ['detector', Buffer.from(JSON.stringify(state))];
  }

  /** In whatever order the entries come. @throws TidemillError STATE_CORRUPT, BLOCK_INVALID */
  restore(key: string, value: Uint8Array): void {
    if (key === 'detector') {
      this.decode(parseState<DetectorState>(Buffer.from(value).toString('utf8')));
      return;
    }
    if (key.startsWith('h')) {
      this.history.restore(key.slice(1), Buffer.from(value).toString('utf8'));
      return;
    }
    const columns = decodeLosses(value);
    const { chunks } = this.queue.lanes[columns.upstream] as LossQueue['lanes'][number];
    chunks.push({ sequence: Number(key.slice(key.indexOf('/') + 1)), columns });
    chunks.sort((a, b) => a.sequence - b.sequence);
  }

  private decode(state: DetectorState): void {
    const { known, idle, knownUpTo, newest } = state;
    for (const [at, time] of known.entries()) {
      const partition = this.partitions[at] as Partition;
      partition.knownUpTo = time ?? Number.NEGATIVE_INFINITY;
      partition.isIdle = idle?.[at] ?? false;
    }
    this.known = knownUpTo ?? Number.NEGATIVE_INFINITY;
    this.newest = newest ?? Number.NEGATIVE_INFINITY;
    for (const [at, [next, row]] of state.lanes.entries())
      Object.assign(this.queue.lanes[at] as LossQueue['lanes'][number], { next, row });
    this.isPartial = state.isPartial;
    this.version = state.version;
    this.seen = state.seen;
    this.sequence = state.sequence;
    this.adwin = decodeAdwin(Buffer.from(state.adwin, 'base64'));
  }
}

function blockKey(upstream: number, sequence: number): string {
  return `${upstream}/${sequence}`;
}
