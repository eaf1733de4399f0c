import type { CorrectionRecord } from '../../../contracts/records.js';
import { isTidemillError, messageOf, TidemillError } from '../../../contracts/errors.js';
import { correctionsTopic, streamTopic } from '../../../contracts/topics.js';
import { checkFuture, parseEvent } from '../../../features/eventContract.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { hashOf } from '../../../features/hash.js';
import { createViewOperator } from '../../../features/operator/createViewOperator.js';
import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import type { StreamEvent, Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { partitionName } from '../../runtime/taskInputs.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import { SourceProgress } from '../score/sourceProgress.js';
import { WHOLE } from '../../state/keyChunks.js';
import { ViewSnapshot } from '../../state/viewSnapshot.js';
import type { MaterializeOptions } from './materializeTopology.js';
import { OnlineViewWriter } from './onlineWriter.js';

interface Content {
  readonly event: StreamEvent;
  /** Place in the stream's log: of a correction that of its original. */
  readonly partition: number;
  readonly offset: number;
  readonly isCorrection: boolean;
}

const PROGRESS_KEY = 'p';

/** One partition of a view, and its part of the online store. */
export class MaterializeTask implements StreamTask {
  readonly stateIdentity: string;
  readonly pendingRows = 0;
  private readonly operator: ViewOperator;
  private readonly online: OnlineViewWriter;
  private readonly progress: SourceProgress;
  private readonly correctionsTopic: string;
  private readonly names: { readonly stream: string; readonly corrections: string };
  private readonly stored: ViewSnapshot;
  private newest: number | null = null;
  /** When the newest record of the stream that was folded had been appended, ms; null before the first of this life. */
  private appendedAt: number | null = null;
  private isAway = false;
  private readonly nowMs: () => number;

  constructor(
    private readonly options: MaterializeOptions,
    partition: number,
    writerName: string,
  ) {
    const { project, view, store, generation, partitions, nowMs = Date.now } = options;
    this.nowMs = nowMs;
    this.stateIdentity = hashOf(['materialize/1', view.hash]);
    this.operator = createViewOperator(view);
    this.stored = new ViewSnapshot(this.operator);
    this.progress = new SourceProgress(view.stream);
    this.correctionsTopic = correctionsTopic(project, view.name);
    this.names = {
      stream: partitionName({ topic: streamTopic(project, view.stream.name), partition }),
      corrections: partitionName({ topic: this.correctionsTopic, partition }),
    };
    this.online = new OnlineViewWriter(
      {
        store,
        view,
        partitions,
        identity: { project, name: view.name, hash: view.hash },
        writer: { generation, partition, name: writerName },
        nowMs: this.nowMs,
      },
      this.operator,
    );
  }

  get watermark(): number | null {
    return finiteOrNull(this.progress.watermark);
  }

  parse(record: LogRecord): ParsedRecord<Content | null> {
    const content = this.contentOf(record);
    return { record, time: content?.event.time ?? Number.NEGATIVE_INFINITY, content };
  }

  /** Null for a record that breaks the contract: the score topology sets it aside. */
  private contentOf(record: LogRecord): Content | null {
    const { stream } = this.options.view;
    try {
      if (record.topic === this.correctionsTopic) {
        const { partition, offset, value } = JSON.parse(record.value?.toString('utf8') ?? 'null') as CorrectionRecord;
        return { event: parseEvent(stream, value), partition, offset, isCorrection: true };
      }
      const event = parseEvent(stream, record.value);
      checkFuture(stream, event.time, record.timestamp);
      return { event, partition: record.partition, offset: record.offset, isCorrection: false };
    } catch (error) {
      // A correction is ours: one that cannot be read is set aside here.
      if (record.topic === this.correctionsTopic) throw error;
      return null;
    }
  }

  fold({ record, content }: ParsedRecord, _output: Output): void {
    if (record.topic !== this.correctionsTopic) this.appendedAt = record.timestamp;
    const typed = content as Content | null;
    if (typed === null) return;
    const { event, partition, offset, isCorrection } = typed;
    if (!isCorrection) {
      if (this.progress.isLate(event.time)) return;
      this.progress.observe(event.time);
      this.newest = Math.max(this.newest ?? event.time, event.time);
    }
    const key = event.values[this.options.view.key] as Value;
    const outcome = this.operator.insert(key, event.time, event.id, event.values, partition, offset);
    if (outcome === 'inserted') this.online.note(key, event.time);
    // The store lacks what is here all the same: its entry was lost.
    else if (isCorrection && outcome !== 'expired') this.online.note(key, WHOLE);
  }

  stateOf(view: string, key: Value): Uint8Array | null | undefined {
    return view === this.options.view.name ? this.operator.encodeKey(key) : undefined;
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }
  flush(): void {
    // Nothing is written to the log.
  }

  committed(): void {
    this.operator.evict(this.progress.watermark);
    for (const key of this.stored.collect()) if (!this.operator.has(key)) this.online.note(key, WHOLE);
  }

  async settle(offsets: ReadonlyMap<string, number>, hasCaughtUp: boolean, hasMore: boolean): Promise<void> {
    const committed = {
      offset: offsets.get(this.names.stream) ?? 0,
      corrections: offsets.get(this.names.corrections) ?? 0,
      watermark: this.watermark,
      newest: this.newest,
      completeAt: hasMore ? this.appendedAt : this.nowMs(),
    };
    try {
      await this.online.bringTo(committed, hasCaughtUp);
    } catch (error) {
      if (!isTidemillError(error, 'ONLINE_UNAVAILABLE')) throw error;
      // The log goes on; what changes meanwhile is kept and written when the store is back.
      if (!this.isAway) this.options.onProblem?.(messageOf(error));
      this.isAway = true;
      return;
    }
    if (this.isAway) this.options.onProblem?.(null);
    this.isAway = false;
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    for (const { key, value } of this.stored.entries()) yield { key: Buffer.from(`k${key}`), value };
    const progress = JSON.stringify([this.progress.encode(), this.newest]);
    yield { key: Buffer.from(PROGRESS_KEY), value: Buffer.from(progress) };
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    const text = Buffer.from(key).toString('utf8');
    try {
      if (text === PROGRESS_KEY) {
        const [progress, newest] = JSON.parse(Buffer.from(value).toString('utf8')) as [[number | null, number], number];
        this.progress.decode(progress);
        this.newest = newest;
      } else this.stored.restore(text.slice(1), value);
    } catch (error) {
      if (isTidemillError(error)) throw error;
      throw new TidemillError(
        'STATE_CORRUPT',
        `entry ${text} of a snapshot cannot be read`,
        { key: text },
        { cause: error },
      );
    }
  }
}
