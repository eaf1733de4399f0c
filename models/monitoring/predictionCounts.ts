import type { EncodedPredictionCounts } from '../../contracts/performanceReport.js';
import type { OtherScore, PredictionRecord } from '../../contracts/records.js';
import { addTo, sortedPairs, sparse, type Mergeable } from './mergeable.js';
import { SCORE_BINS, scoreBin } from './scoreBins.js';

/** Nulls in the vectors of one feature service. */
export interface NullCounts {
  vectors: number;
  /** By column; columns beyond the end have none. */
  readonly columns: number[];
}

/** What a version said, as counts. */
export class PredictionCounts implements Mergeable<PredictionCounts> {
  served = 0;
  failed = 0;
  rows = 0;
  readonly decisions = new Map<string, number>();
  readonly scores = new Float64Array(SCORE_BINS);
  readonly nulls = new Map<string, NullCounts>();

  get isEmpty(): boolean {
    return this.rows === 0 && this.failed === 0;
  }

  /** A request that the version answered. */
  addServed(prediction: PredictionRecord): void {
    this.served++;
    this.addScore(prediction.score, prediction.decision);
    // A vector that nobody computed whole says nothing about the data.
    if (prediction.absent !== undefined || prediction.replay?.late === true) return;
    const { columns } = this.nullsOf(prediction.service, 1);
    const { vector } = prediction;
    for (let at = 0; at < vector.length; at++) if (vector[at] === null) columns[at] = (columns[at] ?? 0) + 1;
  }

  /** A request that another version answered. */
  addOther({ score, decision }: Pick<OtherScore, 'score' | 'decision'>): void {
    if (score === null) this.failed++;
    else this.addScore(score, decision ?? '');
  }

  private addScore(score: number, decision: string): void {
    this.rows++;
    addTo(this.decisions, decision, 1);
    const bin = scoreBin(score);
    this.scores[bin] = (this.scores[bin] as number) + 1;
  }

  private nullsOf(service: string, vectors: number): NullCounts {
    let found = this.nulls.get(service);
    if (found === undefined) this.nulls.set(service, (found = { vectors: 0, columns: [] }));
    found.vectors += vectors;
    return found;
  }

  merge(other: PredictionCounts, times: 1 | -1 = 1): void {
    this.rows += times * other.rows;
    this.served += times * other.served;
    this.failed += times * other.failed;
    for (const [decision, rows] of other.decisions) addTo(this.decisions, decision, times * rows);
    for (let bin = 0; bin < SCORE_BINS; bin++)
      this.scores[bin] = (this.scores[bin] as number) + times * (other.scores[bin] as number);
    for (const [service, { vectors, columns }] of other.nulls) {
      const own = this.nullsOf(service, times * vectors).columns;
      for (let at = 0; at < columns.length; at++) own[at] = (own[at] ?? 0) + times * (columns[at] ?? 0);
    }
  }

  encode(): EncodedPredictionCounts {
    const { rows, served, failed } = this;
    return {
      rows,
      served,
      failed,
      decisions: sortedPairs(this.decisions),
      scores: sparse(this.scores),
      nulls: sortedPairs(this.nulls).map(([service, { vectors, columns }]) => [service, vectors, sparse(columns)]),
    };
  }
}

export function decodePredictionCounts(encoded: EncodedPredictionCounts): PredictionCounts {
  const counts = new PredictionCounts();
  counts.rows = encoded.rows;
  counts.served = encoded.served;
  counts.failed = encoded.failed;
  for (const [decision, rows] of encoded.decisions) counts.decisions.set(decision, rows);
  for (const [bin, rows] of encoded.scores) counts.scores[bin] = rows;
  for (const [service, vectors, sparseColumns] of encoded.nulls) {
    const columns: number[] = [];
    for (const [at, count] of sparseColumns) columns[at] = count;
    counts.nulls.set(service, { vectors, columns });
  }
  return counts;
}
