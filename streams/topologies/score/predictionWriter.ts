import type { CutRecord, PredictionRecord, ReplayedRequest, SourcePosition } from '../../../contracts/records.js';
import { cutsTopic, predictionsTopic } from '../../../contracts/topics.js';
import type { StreamEvent } from '../../../features/types.js';
import type { ScoredRow, Scorer } from '../../../scoring/scorer.js';
import { splitUnit } from '../../../scoring/split.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { Output } from '../../runtime/topology.js';

interface PendingRow {
  readonly event: StreamEvent;
  readonly vector: Float64Array;
  readonly source: SourcePosition;
  readonly cut: string | null;
  /** Null but for a replay of a dead letter. */
  readonly replay: ReplayedRequest | null;
}

/** Rows of a task that have their vector and wait for their score. */
export class PredictionWriter {
  private rows: PendingRow[] = [];

  constructor(
    private readonly project: string,
    private readonly model: CompiledModel,
    private readonly scorer: Scorer,
    private readonly batchRows: number,
  ) {}

  get pending(): number {
    return this.rows.length;
  }

  add(row: PendingRow): void {
    this.rows.push(row);
  }

  /** Says once what else had been folded when the rows that name this cut were computed. */
  writeCut(cut: CutRecord, output: Output): void {
    output.emit({ topic: cutsTopic(this.project, this.model.name), key: cut.id, value: JSON.stringify(cut) });
  }

  /** Scores what is pending in micro-batches, one deployment per batch. */
  async drain(output: Output): Promise<void> {
    const width = this.model.service.columns.length;
    while (this.rows.length > 0) {
      const batch = this.rows.slice(0, this.batchRows);
      const matrix = new Float64Array(batch.length * width);
      for (let row = 0; row < batch.length; row++) matrix.set((batch[row] as PendingRow).vector, row * width);
      const scored = await this.scorer.score(
        matrix,
        batch.length,
        batch.map(({ event }) => event.values),
        batch.map(({ event }) => splitUnit(event.values[this.model.entity] ?? null, event.id)),
      );
      this.rows = this.rows.slice(batch.length);
      for (const [at, { event, vector, source, cut, replay }] of batch.entries()) {
        const row = scored[at] as ScoredRow;
        const prediction: PredictionRecord = {
          id: event.id,
          at: event.time,
          model: this.model.name,
          version: row.version,
          role: row.role,
          epoch: row.epoch,
          score: row.score,
          decision: row.decision,
          arm: row.arm,
          micros: row.micros,
          others: row.others,
          service: this.model.service.hash,
          // JSON has no NaN: a null feature becomes null.
          vector: Array.from(vector),
          source,
          cut,
          entity: event.values[this.model.entity] as number | string | null,
          ...(replay === null ? {} : { replay }),
        };
        output.emit({
          topic: predictionsTopic(this.project, this.model.name),
          key: String(event.values[this.model.request.topicKey]),
          value: JSON.stringify(prediction),
        });
      }
    }
  }
}
