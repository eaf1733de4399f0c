import { MAX_AUDIT_SAMPLE } from '../../contracts/consistency.js';
import type { PredictionRecord } from '../../contracts/records.js';
import type { CompiledService } from '../../features/compiledView.js';
import type { CompiledModel } from '../../models/definition.js';
import { ALPHA } from '../../models/gates/confidence.js';
import type { SkewFound } from '../../models/gates/skewCounts.js';
import { leastRequests } from '../../models/statistics/confidenceSequence.js';
import type { LogRecord } from '../../stores/log/log.js';
import type { ServedRow } from '../../stores/offline/archiveReader.js';
import { finalUpTo } from './finality.js';
import { recompute, takeEnds, type AuditedVector, type AuditParts, type Checkpoint } from './recompute.js';
import { isRecomputed, RowSampler, servedRow, vectorOf } from './sampleRows.js';

/** Where the reading of the predictions stood when the rows of a look were drawn, by partition. */
export type SkewFrame = Readonly<Record<string, number>>;

/** Watermarks are looked at so often, ms. */
const FINAL_LOOK_MS = 2_000;
/** So many times the vectors that could show a share of nothing: entities make fewer of them count. */
const SAMPLE_FACTOR = 4;
/** A sample that grew by less says nothing new. */
const GROWTH = 1.5;

export interface SkewAuditOptions {
  /** Epoch of the deployment that is watched: rows of others do not count. */
  readonly epoch: number;
  /** From candidate, look and offsets: whoever repeats the look draws the same rows. */
  readonly seed: string;
  /** Requests that the watch waits for. */
  readonly requests: number;
  /** Of an earlier attempt of this look: its rows are drawn again. */
  readonly resumed: SkewFrame | null;
}

/** Vectors to recompute so that a margin can be shown. */
export function auditSize(model: CompiledModel, margin: number, requests: number): number {
  const alpha = ALPHA / model.gates.operational.length;
  return Math.min(SAMPLE_FACTOR * leastRequests(margin, { alpha, tunedFor: requests }), MAX_AUDIT_SAMPLE);
}

/**
 * The audit of one look at a candidate: rows are drawn as predictions come; once the look is due its rows are fixed, and once
 * all of them are final they are recomputed. An audit lags behind by the lateness.
 *
 *     drawing ──due──▶ fixed ──final, or time is up──▶ recomputed ──half as many rows more──▶ drawing
 */
export class SkewAudit {
  private readonly sampler: RowSampler<ServedRow>;
  /** Rows beyond those that an earlier attempt had drawn: they wait until these are fixed. */
  private readonly later: RowSampler<ServedRow>;
  private readonly size: number;
  private readonly read = new Map<number, number>();
  private resumed: SkewFrame | null;
  /** Rows seen so far; as many when the rows of the newest audit were fixed. */
  private drawn = 0;
  private auditedOf = 0;
  private fixed: { readonly rows: readonly ServedRow[]; readonly drawn: number; readonly newest: number } | null = null;
  private found: SkewFound | null = null;
  private lookedAt = Number.NEGATIVE_INFINITY;
  /** Requests before it have their final value, ms. */
  finalUpTo = Number.NEGATIVE_INFINITY;
  /** Set once the rows of the look are fixed: what an attempt that repeats the look needs. */
  frame: SkewFrame | null;

  constructor(
    private readonly parts: AuditParts,
    private readonly model: CompiledModel,
    /** What the candidate reads. */
    private readonly service: CompiledService,
    margin: number,
    private readonly options: SkewAuditOptions,
  ) {
    this.size = auditSize(model, margin, options.requests);
    this.sampler = new RowSampler(this.size, options.seed);
    this.later = new RowSampler(this.size, options.seed);
    this.resumed = options.resumed;
    this.frame = options.resumed;
  }

  observe(prediction: PredictionRecord, { partition, offset, timestamp }: LogRecord): void {
    this.read.set(partition, offset + 1);
    if (prediction.epoch !== this.options.epoch || !isRecomputed(prediction)) return;
    // A candidate with other inputs is not what served: its vectors are shown on a sample of the requests.
    const { hash: service } = this.service;
    const vector = vectorOf(prediction, service);
    if (vector === null) return;
    this.drawn++;
    const isLater = this.resumed !== null && offset >= (this.resumed[partition] ?? 0);
    (isLater ? this.later : this.sampler).add(servedRow(prediction, timestamp, { service, vector }));
  }

  /**
   * What the newest audit found; null while there is none. Asked for as soon as the look is due.
   *
   * @param isOver there is no time left: what is final now is all that there will be.
   * @throws TidemillError OFFSET_LOST, AUDIT_TOO_LARGE
   */
  async look(isOver: boolean, checkpoint: Checkpoint): Promise<SkewFound | null> {
    if (this.found !== null && (isOver || !this.hasGrown())) return this.found;
    const fixed = this.fix(isOver);
    if (fixed === null) return this.found;
    await this.lookAtWatermarks(isOver);
    if (!isOver && this.finalUpTo <= fixed.newest) return this.found;
    const { parts, model, service } = this;
    const ends = await takeEnds(parts.log, parts.project, model, [service]);
    const rows = fixed.rows.filter(({ at }) => at < this.finalUpTo);
    const audited = await recompute(parts, model, service, rows, ends, checkpoint);
    this.found = skewFound(audited);
    this.fixed = null;
    this.auditedOf = fixed.drawn;
    return this.found;
  }

  private hasGrown(): boolean {
    return this.fixed !== null || (this.auditedOf < this.size && this.drawn >= this.auditedOf * GROWTH);
  }

  /** Fixes the rows of the look; null while those of an earlier attempt have not all been read again. */
  private fix(isOver: boolean): NonNullable<typeof this.fixed> | null {
    if (this.fixed !== null) return this.fixed;
    const { resumed, read } = this;
    const isRead =
      resumed === null ||
      Object.entries(resumed).every(([partition, end]) => (read.get(Number(partition)) ?? 0) >= end);
    if (!isRead && !isOver) return null;
    const rows = this.sampler.rows();
    const newest = rows.reduce((latest, { at }) => Math.max(latest, at), Number.NEGATIVE_INFINITY);
    this.fixed = { rows, drawn: this.drawn, newest };
    this.frame = resumed ?? Object.fromEntries(read);
    this.resumed = null;
    for (const row of this.later.rows()) this.sampler.add(row);
    return this.fixed;
  }

  private async lookAtWatermarks(isNow: boolean): Promise<void> {
    if (!isNow && performance.now() - this.lookedAt < FINAL_LOOK_MS) return;
    const { log, project } = this.parts;
    this.finalUpTo = await finalUpTo(log, project, this.service);
    this.lookedAt = performance.now();
  }
}

/** What an audit says to a gate. */
export function skewFound(audited: readonly AuditedVector[]): SkewFound {
  return {
    rows: audited.flatMap(({ entity, cause, missing }) => (missing === null ? [{ entity, cause }] : [])),
    defects: audited.flatMap((each) => defectOf(each) ?? []),
  };
}

/** What is wrong with a served vector, in words; null where nothing is. */
export function defectOf({ row, missing, broken }: AuditedVector): string | null {
  if (missing !== null) return `prediction ${row.id}: ${missing}`;
  const [first] = broken;
  if (first === undefined) return null;
  return `prediction ${row.id}, ${first.column}: served ${first.served}, the interpreter says ${first.recomputed} within cut ${row.cut}`;
}
