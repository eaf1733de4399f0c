import type { EncodedOutcomeCounts, EncodedPredictionCounts, ReportRecord } from '../../contracts/performanceReport.js';
import type { ScoreRole } from '../../contracts/records.js';
import type { CountBlock } from './countBlock.js';
import { compareCells, type Cell } from './mergeable.js';
import { decodeOutcomeCounts, OutcomeCounts } from './outcomeCounts.js';
import { parseState } from './parseState.js';
import { outcomeReport, predictionReport, type ColumnsOf } from './performanceReport.js';
import { decodePredictionCounts, PredictionCounts } from './predictionCounts.js';
import { StepQueue, type Step } from './stepQueue.js';

export interface MergerOptions {
  readonly model: string;
  /** Of the topology. */
  readonly generation: number;
  /** Partitions that are counted, each by itself. */
  readonly partitions: number;
  readonly bucketMs: number;
  /** Buckets whose counts are kept, behind the one whose labels are complete: labels that come later change nothing. */
  readonly keptBuckets: number;
  /** @see ColumnsOf */
  readonly columnsOf: ColumnsOf;
}

/** Counts of a version in a role in a bucket, of all partitions, and what has been told of them. */
interface Merged {
  predictions: PredictionCounts | null;
  outcomes: OutcomeCounts | null;
  /** Of the last report; -1 before the first. */
  revision: number;
}

type StoredMerged = [number, ScoreRole, number, EncodedPredictionCounts | null, EncodedOutcomeCounts | null][];

/** Cells that are kept at most, whatever labels do: those of a version in two roles for more than a year of hours. */
const MAX_CELLS = 20_000;

/**
 * Merges the counts of all partitions and reports on each bucket, in the order of time. Predictions and outcomes have a clock
 * each: labels come days after their requests, or never.
 *
 *   1. queue what a partition counted, until every partition that is not idle has closed the bucket
 *   2. step by step: merge it into what is known of its bucket
 *   3. report on every bucket that the step changed
 *   4. forget buckets whose labels can no longer change
 */
export class ReportMerger {
  private readonly predictions: StepQueue<PredictionCounts>;
  private readonly outcomes: StepQueue<OutcomeCounts>;
  private readonly buckets = new Map<number, Cell<Merged>[]>();
  private readonly changed = new Set<number>();
  private cells = 0;
  /** Buckets before this one are forgotten. */
  private kept = Number.NEGATIVE_INFINITY;

  constructor(private readonly options: MergerOptions) {
    const [ofPredictions, ofOutcomes] = [() => new PredictionCounts(), () => new OutcomeCounts()];
    this.predictions = new StepQueue(options.partitions, { create: ofPredictions, decode: decodePredictionCounts });
    this.outcomes = new StepQueue(options.partitions, { create: ofOutcomes, decode: decodeOutcomeCounts });
  }

  /** Event time up to which predictions of all partitions are reported; null before the first. */
  get reportedUpTo(): number | null {
    const { closedUpTo } = this.predictions;
    return Number.isFinite(closedUpTo) ? closedUpTo * this.options.bucketMs : null;
  }

  /** @returns what is to be told now, in its order. */
  take({ upstream, of, from, to, cells, isIdle }: CountBlock): ReportRecord[] {
    const closing = { upstream, from, to, isIdle };
    // 1 queue
    if (of === 'predictions') {
      const steps = this.predictions.take({ ...closing, cells: cells.map(decodedPredictions) });
      return steps.flatMap((step) =>
        this.step(step, (merged, counts) => (merged.predictions ??= new PredictionCounts()).merge(counts)),
      );
    }
    const steps = this.outcomes.take({ ...closing, cells: cells.map(decodedOutcomes) });
    const reports = steps.flatMap((step) =>
      this.step(step, (merged, counts) => (merged.outcomes ??= new OutcomeCounts()).merge(counts)),
    );
    this.forgetBefore(this.outcomes.closedUpTo - this.options.keptBuckets);
    return reports;
  }

  private step<Counts>({ cells }: Step<Counts>, merge: (merged: Merged, counts: Counts) => void): ReportRecord[] {
    const reports: ReportRecord[] = [];
    for (const cell of cells) {
      if (cell.bucket < this.kept) continue;
      // 2 merge
      const { counts: merged } = this.mergedOf(cell);
      merge(merged, cell.counts);
      // 3 report: a step has each cell once
      merged.revision++;
      this.changed.add(cell.bucket);
      reports.push(this.reportOf(cell, merged));
    }
    return reports;
  }

  private mergedOf(cell: Cell<unknown>): Cell<Merged> {
    let cells = this.buckets.get(cell.bucket);
    if (cells === undefined) this.buckets.set(cell.bucket, (cells = []));
    const known = cells.find((each) => compareCells(each, cell) === 0);
    if (known !== undefined) return known;
    const { bucket, version, role } = cell;
    const added = { bucket, version, role, counts: { predictions: null, outcomes: null, revision: -1 } };
    cells.push(added);
    this.cells++;
    if (this.cells > MAX_CELLS) this.forgetBefore(Math.min(...this.buckets.keys()) + 1);
    return added;
  }

  private reportOf(
    { bucket, version, role }: Cell<unknown>,
    { predictions, outcomes, revision }: Merged,
  ): ReportRecord {
    const { model, generation, bucketMs, columnsOf } = this.options;
    return {
      model,
      version,
      role,
      from: bucket * bucketMs,
      to: (bucket + 1) * bucketMs,
      generation,
      revision,
      predictions: predictions === null ? null : predictionReport(predictions, columnsOf),
      outcomes: outcomes === null ? null : outcomeReport(outcomes),
      counts: { predictions: predictions?.encode() ?? null, outcomes: outcomes?.encode() ?? null },
    };
  }

  // 4 forget
  private forgetBefore(bucket: number): void {
    if (!(bucket > this.kept)) return;
    this.kept = bucket;
    for (const [each, cells] of this.buckets) {
      if (each >= bucket) continue;
      this.buckets.delete(each);
      this.cells -= cells.length;
      this.changed.add(each);
    }
  }

  /** What changed since the last call, value null for what is gone. */
  *entries(): Iterable<readonly [key: string, value: string | null]> {
    for (const [key, value] of this.predictions.entries()) yield [`p${key}`, value];
    for (const [key, value] of this.outcomes.entries()) yield [`o${key}`, value];
    for (const bucket of this.changed) {
      const cells = this.buckets.get(bucket);
      yield [`b${bucket}`, cells === undefined ? null : encodeMerged(cells)];
    }
    this.changed.clear();
    if (Number.isFinite(this.kept)) yield ['k', String(this.kept)];
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: string): void {
    const rest = key.slice(1);
    if (key.startsWith('p')) this.predictions.restore(rest, value);
    else if (key.startsWith('o')) this.outcomes.restore(rest, value);
    else if (key === 'k') this.kept = parseState<number>(value);
    else {
      const bucket = Number(rest);
      const cells = parseState<StoredMerged>(value).map(([version, role, revision, predictions, outcomes]) => {
        const counts = {
          predictions: predictions === null ? null : decodePredictionCounts(predictions),
          outcomes: outcomes === null ? null : decodeOutcomeCounts(outcomes),
          revision,
        };
        return { bucket, version, role, counts };
      });
      this.buckets.set(bucket, cells);
      this.cells += cells.length;
    }
  }
}

function encodeMerged(cells: readonly Cell<Merged>[]): string {
  const stored = [...cells]
    .sort(compareCells)
    .map(({ version, role, counts: { predictions, outcomes, revision } }) => [
      version,
      role,
      revision,
      predictions?.encode() ?? null,
      outcomes?.encode() ?? null,
    ]);
  return JSON.stringify(stored);
}

function decodedPredictions({ counts, ...cell }: CountBlock['cells'][number]): Cell<PredictionCounts> {
  return { ...cell, counts: decodePredictionCounts(counts as EncodedPredictionCounts) };
}

function decodedOutcomes({ counts, ...cell }: CountBlock['cells'][number]): Cell<OutcomeCounts> {
  return { ...cell, counts: decodeOutcomeCounts(counts as EncodedOutcomeCounts) };
}
