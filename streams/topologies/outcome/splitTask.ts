import { TidemillError } from '../../../contracts/errors.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { checkFuture, parseEvent } from '../../../features/eventContract.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import { Idleness, IdlenessTimers } from '../../runtime/idleness.js';
import type { TaskTimers } from '../../runtime/taskTimers.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import type { Half, OutcomeBlock } from './outcomeHalves.js';
import { minuteOf } from './pendingOutcomes.js';

const PROGRESS_KEY = Buffer.from('progress');

/**
 * Sends predictions and labels to the tasks of their event ids, and says how far its labels have come, and, once none come any
 * more, that they are idle: the absence of other labels does not wait for them.
 */
export class SplitTask implements StreamTask {
  readonly stateIdentity = 'outcome.split/2';
  readonly pendingRows = 0;
  private readonly halves: Half[][];
  /** Greatest event time among the labels. */
  private greatest = Number.NEGATIVE_INFINITY;
  private announced = Number.NEGATIVE_INFINITY;
  private announcedIdle = false;
  private readonly idleness: Idleness;
  readonly timers: TaskTimers;

  /** @param partition number of the task, and of its partitions. */
  constructor(
    private readonly model: CompiledModel,
    private readonly labels: string,
    private readonly hop: string,
    partitions: number,
    private readonly partition: number,
  ) {
    this.idleness = new Idleness(labels);
    this.timers = new IdlenessTimers(this.idleness);
    this.halves = Array.from({ length: partitions }, () => []);
  }

  get watermark(): number | null {
    return finiteOrNull(this.greatest - this.model.label.stream.allowedLatenessMs);
  }

  parse(record: LogRecord): ParsedRecord<Half | null> {
    if (record.topic !== this.labels) return this.parsePrediction(record);
    const { stream, field } = this.model.label;
    try {
      const event = parseEvent(stream, record.value);
      checkFuture(stream, event.time, record.timestamp);
      const label = Number(event.values[field]);
      return { record, time: event.time, content: { side: 'label', id: event.id, knownAt: event.time, label } };
    } catch {
      // The score topology reads labels, too, and sets a broken one aside with its reason: once is enough.
      return { record, time: Number.NEGATIVE_INFINITY, content: null };
    }
  }

  private parsePrediction(record: LogRecord): ParsedRecord<Half> {
    const prediction = JSON.parse(record.value?.toString('utf8') ?? 'null') as PredictionRecord;
    const { id, at, model, version, role, epoch, score, arm, entity, decision } = prediction;
    const others = prediction.others.flatMap((other) =>
      other.score === null ? [] : [{ version: other.version, score: other.score }],
    );
    const half = { side: 'prediction', id, at, model, version, role, epoch, score, arm, others, entity } as const;
    const isCensored = this.model.label.censored.includes(decision);
    return { record, time: at, content: isCensored ? { ...half, censored: true } : half };
  }

  fold({ record, content }: ParsedRecord, _output: Output, replay: boolean): void {
    if (!replay && record.topic === this.labels) this.idleness.stir();
    const half = content as Half | null;
    if (half === null) return;
    if (half.side === 'label' && half.knownAt > this.greatest) this.greatest = half.knownAt;
    if (replay) return;
    (this.halves[partitionOf(String(half.id), this.halves.length)] as Half[]).push(half);
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  /**
   * One record per transaction and partition with halves; to all of them once a minute of event time has passed, and where
   * labels fall silent or come again.
   */
  flush(output: Output): void {
    const { isIdle } = this.idleness;
    const progress = this.watermark;
    const minute = progress === null ? Number.NEGATIVE_INFINITY : minuteOf(progress);
    for (const [partition, halves] of this.halves.entries()) {
      if (halves.length === 0 && minute <= this.announced && isIdle === this.announcedIdle) continue;
      const block: OutcomeBlock = { upstream: this.partition, progress, ...(isIdle ? { isIdle } : {}), halves };
      output.emit({ topic: this.hop, partition, key: null, value: JSON.stringify(block) });
      this.halves[partition] = [];
    }
    this.announced = Math.max(this.announced, minute);
    this.announcedIdle = isIdle;
  }

  committed(): void {
    // There is nothing to evict.
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    if (Number.isFinite(this.greatest)) yield { key: PROGRESS_KEY, value: Buffer.from(String(this.greatest)) };
  }

  restore(_key: Uint8Array, value: Uint8Array): void {
    const text = Buffer.from(value).toString('utf8');
    const greatest = Number(text);
    if (!Number.isFinite(greatest))
      throw new TidemillError('STATE_CORRUPT', `the progress ${JSON.stringify(text)} in a snapshot is no time`, {
        text,
      });
    this.greatest = greatest;
  }
}
