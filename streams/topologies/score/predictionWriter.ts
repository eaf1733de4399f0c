import type { CutRecord, PredictionRecord, ReplayedRequest, SourcePosition } from '../../../contracts/records.js';
import { cutsTopic, predictionsTopic } from '../../../contracts/topics.js';
import type { CompiledService } from '../../../features/compiledView.js';
import type { StreamEvent } from '../../../features/types.js';
import { projectionOf, projectVector, type Projection } from '../../../features/vectorLayout.js';
import type { ScoredRow, Scorer } from '../../../scoring/scorer.js';
import { splitUnit } from '../../../scoring/split.js';
import type { Output } from '../../runtime/topology.js';
import type { ScorePlan } from './scorePlan.js';

interface PendingRow {
  readonly event: StreamEvent;
  /** The vector of the plan's layout. */
  readonly vector: Float64Array;
  readonly source: SourcePosition;
  readonly cut: string | null;
  /** Null but for a replay of a dead letter. */
  readonly replay: ReplayedRequest | null;
  /** Inputs of the layout whose columns are not there; null for none. */
  readonly absent: readonly number[] | null;
  /** It has not waited for everything up to its time. */
  readonly early: boolean;
}

/** A service that the plan computes, and its columns. */
interface ComputedService {
  readonly service: CompiledService;
  readonly projection: Projection;
}

/** Of so many requests of a partition one shows the vectors of the services that did not serve it, too. */
const SAMPLE_EVERY = 16;

/** Rows of a task that have their vector and wait for their score. */
export class PredictionWriter {
  private rows: PendingRow[] = [];
  private readonly computed: readonly ComputedService[];

  constructor(
    private readonly project: string,
    private readonly plan: ScorePlan,
    private readonly scorer: Scorer,
    private readonly batchRows: number,
  ) {
    this.computed = plan.services.flatMap((service) => {
      const projection = projectionOf(plan.layout, service);
      return projection === null ? [] : [{ service, projection }];
    });
  }

  get pending(): number {
    return this.rows.length;
  }

  add(row: PendingRow): void {
    this.rows.push(row);
  }

  /** Says once what else had been folded when the rows that name this cut were computed. */
  writeCut(cut: CutRecord, output: Output): void {
    output.emit({ topic: cutsTopic(this.project, this.plan.model.name), key: cut.id, value: JSON.stringify(cut) });
  }

  /** Scores what is pending in micro-batches, one deployment per batch. */
  async drain(output: Output): Promise<void> {
    const { layout, model, request } = this.plan;
    const { width } = layout;
    const topic = predictionsTopic(this.project, model.name);
    while (this.rows.length > 0) {
      const batch = this.rows.slice(0, this.batchRows);
      const matrix = new Float64Array(batch.length * width);
      for (let row = 0; row < batch.length; row++) matrix.set((batch[row] as PendingRow).vector, row * width);
      const scored = await this.scorer.score(
        matrix,
        batch.length,
        batch.map(({ event }) => event.values),
        batch.map(({ event }) => splitUnit(event.values[model.entity] ?? null, event.id)),
        { layout, absent: absentOf(batch) },
      );
      this.rows = this.rows.slice(batch.length);
      for (const [at, pending] of batch.entries()) {
        const { event, source, cut } = pending;
        const row = scored[at] as ScoredRow;
        const served = this.servedBy(row.version);
        const prediction: PredictionRecord = {
          id: event.id,
          at: event.time,
          model: model.name,
          version: row.version,
          role: row.role,
          epoch: row.epoch,
          score: row.score,
          decision: row.decision,
          arm: row.arm,
          micros: row.micros,
          others: row.others,
          service: served.service.hash,
          vector: projectVector(served.projection, pending.vector),
          source,
          cut,
          entity: event.values[model.entity] as number | string | null,
          ...(pending.absent === null ? {} : this.missing(served, pending.absent)),
          ...(this.computed.length === 1 || source.offset % SAMPLE_EVERY !== 0 ? {} : this.sample(served, pending)),
          ...(pending.replay === null ? {} : { replay: pending.replay }),
          ...(pending.early ? { early: true } : {}),
        };
        output.emit({ topic, key: String(event.values[request.topicKey]), value: JSON.stringify(prediction) });
      }
    }
  }

  /** What a version reads; the rules read no column, and their record shows the first service's. */
  private servedBy(version: number): ComputedService {
    const hash = this.scorer.serviceOf(version)?.hash;
    return this.computed.find(({ service }) => service.hash === hash) ?? (this.computed[0] as ComputedService);
  }

  /** Columns of the vector that no task has computed: null without being null. */
  private missing(
    { service, projection }: ComputedService,
    absent: readonly number[],
  ): Pick<PredictionRecord, 'absent'> {
    const columns = service.columns.flatMap(({ input }, at) =>
      absent.includes(projection.inputs[input] as number) ? [at] : [],
    );
    return columns.length === 0 ? {} : { absent: columns };
  }

  private sample(served: ComputedService, { vector, absent }: PendingRow): Pick<PredictionRecord, 'also'> {
    const others = this.computed.filter(
      (each) => each !== served && !each.projection.inputs.some((input) => absent?.includes(input) === true),
    );
    return {
      also: others.map(({ service, projection }) => ({
        service: service.hash,
        vector: projectVector(projection, vector),
      })),
    };
  }
}

/** By row of a batch what is not there; null where everything is, as almost always. */
function absentOf(batch: readonly PendingRow[]): readonly (readonly number[] | null)[] | null {
  return batch.some(({ absent }) => absent !== null) ? batch.map(({ absent }) => absent) : null;
}
