import type { OutcomeRecord } from '../../../contracts/records.js';
import { TidemillError } from '../../../contracts/errors.js';
import { outcomesTopic } from '../../../contracts/topics.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { leastActive } from '../../../features/progress.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { StoredState } from '../../runtime/storedState.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import {
  parseOutcomeBlock,
  type Half,
  type LabelHalf,
  type OutcomeBlock,
  type PredictionHalf,
} from './outcomeHalves.js';
import { minuteOf, PendingOutcomes, type PendingOutcome } from './pendingOutcomes.js';

const PROGRESS_KEY = Buffer.from('progress');

/**
 * Joins predictions and labels by event id. What is known of a request moves through these states, and each arrow into
 * `answered` is an outcome, with a revision that counts up:
 *
 *   prediction ──label──▶ answered ──another label──▶ answered ──retention──▶ forgotten
 *       │                    ▲
 *       └──horizon, where absence means negative
 *   label ──prediction──▶ answered
 *
 * Time passes with the watermark of the labels alone: the least of what the upstream tasks have announced, those left out whose
 * labels are idle. A label that comes after its absence was told of revises that.
 */
export class JoinTask implements StreamTask {
  readonly stateIdentity = 'outcome.join/2';
  readonly pendingRows = 0;
  private readonly pending = new PendingOutcomes();
  private readonly upstream: readonly { progress: number; isIdle: boolean }[];
  /** Greatest watermark so far: who wakes late does not take it back. */
  private reached = Number.NEGATIVE_INFINITY;
  /** Minute up to which what was due has been dealt with. */
  private minute = Number.NEGATIVE_INFINITY;

  constructor(
    private readonly project: string,
    private readonly model: CompiledModel,
    partitions: number,
  ) {
    this.upstream = Array.from({ length: partitions }, () => ({ progress: Number.NEGATIVE_INFINITY, isIdle: false }));
  }

  get watermark(): number | null {
    return finiteOrNull(this.reached);
  }

  private observe({ upstream, progress, isIdle = false }: OutcomeBlock): void {
    const known = this.upstream[upstream] as JoinTask['upstream'][number];
    known.isIdle = isIdle;
    known.progress = Math.max(known.progress, progress ?? Number.NEGATIVE_INFINITY);
    this.reached = Math.max(
      this.reached,
      leastActive(this.upstream, (each) => each.progress),
    );
  }

  attach(stored: StoredState): void {
    this.pending.attach(stored);
    const progress = stored.get(PROGRESS_KEY);
    if (progress === undefined) return;
    const { upstream, idle, minute, reached } = parseProgress(progress);
    for (const [at, announced] of upstream.entries()) {
      const known = this.upstream[at] as JoinTask['upstream'][number];
      known.progress = announced ?? Number.NEGATIVE_INFINITY;
      known.isIdle = idle?.[at] ?? false;
    }
    const least = leastActive(this.upstream, (each) => each.progress);
    this.reached = reached ?? least;
    this.minute = minute ?? Number.NEGATIVE_INFINITY;
  }

  parse(record: LogRecord): ParsedRecord<OutcomeBlock> {
    return { record, time: record.timestamp, content: parseOutcomeBlock(record.value) };
  }

  fold({ content }: ParsedRecord, output: Output, replay: boolean): void {
    const block = content as OutcomeBlock;
    const emit = (outcome: OutcomeRecord): void => {
      if (replay) return;
      const topic = outcomesTopic(this.project, this.model.name);
      output.emit({ topic, key: String(outcome.id), value: JSON.stringify(outcome) });
    };
    for (const half of block.halves) this.take(half, emit);
    this.observe(block);
    const { watermark } = this;
    // The minute that the watermark is in has not passed yet.
    const passed = watermark === null ? Number.NEGATIVE_INFINITY : minuteOf(watermark) - 1;
    if (passed <= this.minute) return;
    this.minute = passed;
    for (const id of this.pending.due(passed)) this.expire(id, emit);
  }

  private take(half: Half, emit: (outcome: OutcomeRecord) => void): void {
    const id = String(half.id);
    const known = this.pending.get(id);
    const next =
      half.side === 'prediction' ? this.withPrediction(known, half, emit) : this.withLabel(known, half, emit);
    if (next !== known) this.pending.set(id, next);
  }

  private withPrediction(
    known: PendingOutcome | null,
    prediction: PredictionHalf,
    emit: (outcome: OutcomeRecord) => void,
  ): PendingOutcome {
    // Answered again after a failure, where that is allowed: the first answer counts.
    if (known !== null && known.prediction !== null) return known;
    const { absence, horizonMs, retentionMs } = this.model.label;
    const forgotten = prediction.at + retentionMs;
    if (known === null || known.label === null) {
      const due = absence === 'negative' ? prediction.at + horizonMs : forgotten;
      return { prediction, label: null, revision: -1, due };
    }
    emit(outcomeOf(prediction, known.label, 0));
    return { prediction, label: known.label, revision: 0, due: forgotten };
  }

  private withLabel(
    known: PendingOutcome | null,
    { knownAt, label: value }: LabelHalf,
    emit: (outcome: OutcomeRecord) => void,
  ): PendingOutcome {
    const label = { value, knownAt, isAbsence: false };
    if (known === null || known.prediction === null) {
      const isOlder = known !== null && known.label !== null && known.label.knownAt > knownAt;
      if (isOlder) return known;
      return { prediction: null, label, revision: -1, due: knownAt + this.model.label.retentionMs };
    }
    const { prediction, label: before, revision } = known;
    if (before !== null && !before.isAbsence && (before.value === value || before.knownAt > knownAt)) return known;
    // What was taken for a negative is one: nothing has changed.
    if (before?.isAbsence === true && before.value === value) return { ...known, label };
    const outcome = outcomeOf(prediction, label, revision + 1);
    emit(before === null ? outcome : { ...outcome, replaces: labelOf(prediction, before) });
    return { prediction, label, revision: revision + 1, due: prediction.at + this.model.label.retentionMs };
  }

  private expire(id: string, emit: (outcome: OutcomeRecord) => void): void {
    const known = this.pending.get(id);
    if (known === null) return;
    const { prediction, label } = known;
    const { absence, horizonMs, retentionMs } = this.model.label;
    if (prediction === null || label !== null || absence === 'missing') {
      this.pending.set(id, null);
      return;
    }
    const negative = { value: 0, knownAt: prediction.at + horizonMs, isAbsence: true };
    emit(outcomeOf(prediction, negative, 0));
    const next = { prediction, label: negative, revision: 0, due: prediction.at + retentionMs };
    this.pending.set(id, minuteOf(next.due) > this.minute ? next : null);
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }
  flush(): void {
    // Outcomes are emitted as they arise.
  }
  committed(): void {
    // What is due is dealt with in the fold, where its time passes.
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    yield* this.pending.snapshot();
    const progress: StoredProgress = {
      upstream: this.upstream.map((each) => finiteOrNull(each.progress)),
      idle: this.upstream.map(({ isIdle }) => isIdle),
      minute: finiteOrNull(this.minute),
      reached: finiteOrNull(this.reached),
    };
    yield { key: PROGRESS_KEY, value: Buffer.from(JSON.stringify(progress)) };
  }

  snapshotWritten(): void {
    this.pending.written();
  }

  restore(): void {
    throw new Error('invariant broken: what is pending is read from the snapshot by key');
  }
}

interface StoredProgress {
  readonly upstream: readonly (number | null)[];
  readonly minute: number | null;
  /** States of before labels were said to be idle have neither. */
  readonly idle?: readonly boolean[];
  readonly reached?: number | null;
}

function parseProgress(value: Uint8Array): StoredProgress {
  try {
    return JSON.parse(Buffer.from(value).toString('utf8')) as StoredProgress;
  } catch (error) {
    throw new TidemillError('STATE_CORRUPT', 'the progress in a snapshot cannot be read', {}, { cause: error });
  }
}

function outcomeOf(
  prediction: PredictionHalf,
  label: NonNullable<PendingOutcome['label']>,
  revision: number,
): OutcomeRecord {
  const { side: _, censored: __, ...rest } = prediction;
  return { ...rest, knownAt: label.knownAt, revision, ...labelOf(prediction, label) };
}

function labelOf(
  { censored }: PredictionHalf,
  { value, isAbsence }: NonNullable<PendingOutcome['label']>,
): Pick<OutcomeRecord, 'label' | 'source'> {
  return { label: value, source: censored === true ? 'censored' : isAbsence ? 'absence' : 'natural' };
}
