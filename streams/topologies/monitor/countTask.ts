import type { OutcomeRecord, PredictionRecord } from '../../../contracts/records.js';
import { outcomesTopic, predictionsTopic } from '../../../contracts/topics.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { ChampionLosses, type ClosedLosses } from '../../../models/drift/championLosses.js';
import { encodeLosses, MAX_BLOCK_ROWS } from '../../../models/drift/lossColumns.js';
import { BucketTally, type ClosedBuckets } from '../../../models/monitoring/bucketTally.js';
import { countBlocks, standingBlocks, type Counted } from '../../../models/monitoring/countBlock.js';
import type { Mergeable } from '../../../models/monitoring/mergeable.js';
import { decodeOutcomeCounts, OutcomeCounts } from '../../../models/monitoring/outcomeCounts.js';
import { countOutcome, countPrediction } from '../../../models/monitoring/countRecord.js';
import { decodePredictionCounts, PredictionCounts } from '../../../models/monitoring/predictionCounts.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { Idleness, IdlenessTimers } from '../../runtime/idleness.js';
import type { TaskTimers } from '../../runtime/taskTimers.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import type { MonitorPlan } from './monitorPlan.js';
import { snapshotEntries } from './snapshotEntries.js';

/**
 * Folds one partition of the predictions and the outcomes. What it counts of either, and when it closes what, depends on that
 * partition alone: so the two may come in any order.
 *
 *   1. a prediction counts in the bucket of its request, for the version that served and for the others
 *   2. an outcome likewise; one that is revised is taken away first
 *   3. the champion's loss on it waits for the requests before it
 *   4. what is closed goes on: counts to the merger, losses to the detector
 *   5. once nothing comes any more, both are told, and the merger what is held so far: nobody waits for a silent partition
 */
export class CountTask implements StreamTask {
  readonly stateIdentity: string;
  readonly pendingRows = 0;
  private readonly predictions: BucketTally<PredictionCounts>;
  private readonly outcomes: BucketTally<OutcomeCounts>;
  private readonly losses: ChampionLosses;
  private readonly predictionsTopic: string;
  private readonly idleness: Readonly<Record<Counted, Idleness>>;
  /** What has been said of each; a task that begins has said nothing, though its predecessor may have. */
  private readonly saidIdle: Record<Counted, boolean | null> = { predictions: null, outcomes: null };
  /** Of which of them something came since the task began. */
  private readonly heard = new Set<Counted>();
  readonly timers: TaskTimers;

  constructor(
    private readonly plan: MonitorPlan,
    private readonly partition: number,
  ) {
    const { project, model, bucketMs, labelDelayMs } = plan;
    this.stateIdentity = `monitor.count/1/${model.name}/${bucketMs}`;
    this.predictionsTopic = predictionsTopic(project, model.name);
    this.idleness = {
      predictions: new Idleness(this.predictionsTopic),
      outcomes: new Idleness(outcomesTopic(project, model.name)),
    };
    this.timers = new IdlenessTimers(this.idleness.predictions, this.idleness.outcomes);
    this.predictions = new BucketTally({
      bucketMs,
      delayMs: model.request.allowedLatenessMs,
      create: () => new PredictionCounts(),
      decode: decodePredictionCounts,
    });
    this.outcomes = new BucketTally({
      bucketMs,
      delayMs: labelDelayMs + model.label.stream.allowedLatenessMs,
      create: () => new OutcomeCounts(),
      decode: decodeOutcomeCounts,
    });
    this.losses = new ChampionLosses(labelDelayMs);
  }

  get watermark(): number | null {
    const { time } = this.predictions;
    return finiteOrNull(time - this.plan.model.request.allowedLatenessMs);
  }

  parse(record: LogRecord): ParsedRecord<PredictionRecord | OutcomeRecord> {
    const content = JSON.parse(record.value?.toString('utf8') ?? 'null') as PredictionRecord | OutcomeRecord;
    return { record, time: 'knownAt' in content ? content.knownAt : content.at, content };
  }

  fold({ record, content }: ParsedRecord, output: Output, replay: boolean): void {
    const sink = replay ? null : output;
    const of: Counted = record.topic === this.predictionsTopic ? 'predictions' : 'outcomes';
    if (!replay) {
      this.idleness[of].stir();
      this.heard.add(of);
    }
    if (of === 'predictions') this.foldPrediction(content as PredictionRecord, sink);
    else this.foldOutcome(content as OutcomeRecord, sink);
  }

  private foldPrediction(prediction: PredictionRecord, sink: Output | null): void {
    // 1 prediction
    countPrediction(this.predictions, prediction);
    // 4 closed
    const closed = this.predictions.advance(prediction.at);
    if (closed !== null && sink !== null) this.sendCounts('predictions', closed, sink);
  }

  private foldOutcome(outcome: OutcomeRecord, sink: Output | null): void {
    // 2 outcome
    countOutcome(this.outcomes, outcome);
    // 3 loss
    const losses = this.losses.take(outcome);
    // 4 closed
    const closed = this.outcomes.advance(outcome.knownAt);
    if (sink === null) return;
    if (losses !== null) this.sendLosses(losses, sink);
    if (closed !== null) this.sendCounts('outcomes', closed, sink);
  }

  private sendCounts(of: Counted, closed: ClosedBuckets<Mergeable<never>>, sink: Output): void {
    const { bucketMs, counts: topic } = this.plan;
    for (const block of countBlocks({ bucketMs, upstream: this.partition, of }, closed))
      sink.emit({ topic, partition: 0, key: null, value: JSON.stringify(block) });
  }

  // 5 idle
  private sendStanding(of: Counted, isIdle: boolean, sink: Output): void {
    const { bucketMs, counts: topic, losses } = this.plan;
    const tally = this[of];
    const about = { bucketMs, upstream: this.partition, of, from: tally.closedUpTo };
    for (const block of standingBlocks(about, isIdle, isIdle ? tally.ahead() : []))
      sink.emit({ topic, partition: 0, key: null, value: JSON.stringify(block) });
    if (of === 'predictions') return;
    const said = { upstream: this.partition, knownUpTo: null, from: this.losses.handedOutUpTo, isIdle };
    sink.emit({ topic: losses, partition: 0, key: null, value: encodeLosses(said, []) });
  }

  private sendLosses({ rows, knownUpTo, from: before }: ClosedLosses, sink: Output): void {
    for (let from = 0; from === 0 || from < rows.length; from += MAX_BLOCK_ROWS) {
      const isLast = from + MAX_BLOCK_ROWS >= rows.length;
      const part = rows.slice(from, from + MAX_BLOCK_ROWS);
      const about = { upstream: this.partition, knownUpTo: isLast ? knownUpTo : null, from: before, isIdle: false };
      const value = encodeLosses(about, part);
      sink.emit({ topic: this.plan.losses, partition: 0, key: null, value });
    }
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  /** What is closed is sent in the fold, where its time passes. */
  flush(output: Output): void {
    for (const of of ['predictions', 'outcomes'] as const) {
      const { isIdle } = this.idleness[of];
      const said = this.saidIdle[of];
      // A predecessor may have said that it is idle: it is not, once something has come.
      if (said === isIdle || (said === null && !isIdle && !this.heard.has(of))) continue;
      this.sendStanding(of, isIdle, output);
      this.saidIdle[of] = isIdle;
    }
  }

  committed(): void {
    // What is closed is held no more.
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    yield* snapshotEntries('p', this.predictions.entries());
    yield* snapshotEntries('o', this.outcomes.entries());
    yield* snapshotEntries('l', this.losses.entries());
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    const [letter, name] = [Buffer.from(key).toString('utf8', 0, 1), Buffer.from(key).toString('utf8', 1)];
    const text = Buffer.from(value).toString('utf8');
    if (letter === 'p') this.predictions.restore(name, text);
    else if (letter === 'o') this.outcomes.restore(name, text);
    else this.losses.restore(name, text);
  }
}
