import { REPLAY_HEADER, replayMarkOf, type ReplayMark } from '../../../contracts/deadLetters.js';
import { TidemillError } from '../../../contracts/errors.js';
import { streamTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import { checkFuture, parseEvent } from '../../../features/eventContract.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { hashOf } from '../../../features/hash.js';
import type { OrderingSpec } from '../../../models/definition.js';
import type { CompiledStream } from '../../../features/compiledView.js';
import type { StreamEvent, Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { NeededHistory, Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import type { InputPace } from '../../runtime/taskTimers.js';
import { LackingViews } from './lackingViews.js';
import type { ScorePlan, Stage } from './scorePlan.js';
import { emitDuplicate, emitLate } from './setAside.js';
import { StageState, type StateEntry } from './stageState.js';
import { TakenReplays } from './takenReplays.js';

/** What both kinds of score tasks share: streams that feed windows, watermarks, snapshots. */
export interface ScoreTaskOptions {
  readonly identity: TopologyIdentity;
  readonly plan: ScorePlan;
  /** Index of the stage in the plan. */
  readonly stage: number;
  readonly partition: number;
  readonly partitions: number;
  /** Null in `arrival` mode. */
  readonly ordering: OrderingSpec | null;
}

export interface EventContent {
  readonly kind: 'event';
  readonly stream: CompiledStream;
  readonly event: StreamEvent;
}

const META_KEY = 'm';
const REPLAYS_KEY = 'r';

export abstract class ScoreTask implements StreamTask {
  protected readonly state: StageState;
  protected readonly stage: Stage;
  protected readonly replays = new TakenReplays();
  readonly stateIdentity: string;
  protected lacking: LackingViews | null = null;

  constructor(
    protected readonly options: ScoreTaskOptions,
    streams: readonly CompiledStream[],
  ) {
    const { plan } = options;
    this.stage = plan.stages[options.stage] as Stage;
    this.state = new StageState(this.stage, streams);
    // Views are named by their entries: this is the format, and whose requests they are.
    this.stateIdentity = hashOf(['score/2', plan.request.hash, this.stage.name]);
  }

  abstract parse(record: LogRecord): ParsedRecord;
  abstract fold(parsed: ParsedRecord, output: Output, replay: boolean): void;
  abstract get pendingRows(): number;
  abstract drain(output: Output): Promise<void>;
  abstract flush(output: Output, offsets: ReadonlyMap<string, number>, inputs: readonly InputPace[]): void;
  /** Requests before this time will not come any more; -Infinity while nothing is known. */
  protected abstract get requestWatermark(): number;
  protected abstract encodeMeta(): unknown;
  protected abstract decodeMeta(meta: unknown): void;

  /** Views, each of which is kept and rebuilt by itself. */
  get parts(): readonly string[] {
    return this.state.identities;
  }

  lacks(parts: ReadonlySet<string>): readonly NeededHistory[] {
    this.lacking = new LackingViews(this.state.operatorsOf(parts), this.requestWatermark);
    return this.lacking.neededHistory((stream) => this.historyOf(stream));
  }

  /** The topic from which windows over a stream are built. */
  protected historyOf({ name }: CompiledStream): string {
    return streamTopic(this.project, name);
  }

  foldBefore({ record, content }: ParsedRecord): void {
    const found = this.eventOf(content);
    const mark = replayOf(record);
    // A replay that came again is left out as it was then.
    if (mark !== null && this.replays.firstOf(mark, record.offset) !== null) return;
    if (found !== null) this.lacking?.fold(found.stream, found.event, record.partition, record.offset);
  }

  /** The event of a record's content, whatever it is to the task; null where windows do not read it. */
  protected eventOf(content: unknown): Pick<EventContent, 'stream' | 'event'> | null {
    const typed = content as EventContent | { readonly kind: 'other' };
    return typed.kind === 'event' ? typed : null;
  }

  get watermark(): number | null {
    return finiteOrNull(this.requestWatermark);
  }

  protected get project(): string {
    return this.options.identity.project;
  }

  protected streamOf(topic: string): CompiledStream | undefined {
    return this.stage.streams.find(({ name }) => streamTopic(this.project, name) === topic);
  }

  protected parseEvent(stream: CompiledStream, record: LogRecord): StreamEvent {
    const event = parseEvent(stream, record.value);
    checkFuture(stream, event.time, record.timestamp);
    return event;
  }

  /** An event that feeds windows of this stage and is no request. */
  protected foldEvent({ stream, event }: EventContent, record: LogRecord, output: Output): void {
    const progress = this.state.progressOf(stream);
    progress.folded = record.offset + 1;
    const mark = replayOf(record);
    const taken = mark === null ? null : this.replays.firstOf(mark, record.offset);
    if (taken !== null) {
      emitDuplicate(this.project, record, event, taken, output);
      return;
    }
    if (progress.isLate(event.time)) emitLate(this.project, record, event, progress.watermark, output);
    else {
      progress.observe(event.time);
      if (this.state.insert(stream, event, record.partition, record.offset))
        emitDuplicate(this.project, record, event, null, output);
    }
    // Last: a replay whose fold fails is a dead letter again, which can be replayed.
    if (mark !== null) this.replays.take(mark, record.offset);
  }

  /** This task's part of a cut: what had been folded of every source but the requests' own. */
  protected foldedOffsets(): Record<string, Record<string, number>> {
    const folded: Record<string, Record<string, number>> = {};
    for (const stream of this.stage.streams) {
      folded[streamTopic(this.project, stream.name)] = {
        [this.options.partition]: this.state.progressOf(stream).folded,
      };
    }
    return folded;
  }

  committed(_offsets: ReadonlyMap<string, number>): void {
    this.forget();
  }

  forget(): void {
    this.state.evict(this.requestWatermark);
  }

  stateOf(view: string, key: Value): Uint8Array | null | undefined {
    return this.state.stateOf(view, key);
  }

  *snapshot(): Iterable<StateEntry> {
    yield* this.state.snapshot();
    const progress = [...this.state.progress].map(([name, each]) => [name, each.encode()]);
    yield { key: Buffer.from(META_KEY), value: Buffer.from(JSON.stringify({ progress, more: this.encodeMeta() })) };
    const replays = this.replays.snapshot();
    if (replays !== null) yield { key: Buffer.from(REPLAYS_KEY), value: replays };
  }

  restore(key: Uint8Array, value: Uint8Array): boolean {
    const text = Buffer.from(key).toString('utf8');
    if (text === META_KEY) {
      const meta = parseMeta(value);
      for (const [name, encoded] of meta.progress) this.state.progress.get(name)?.decode(encoded);
      this.decodeMeta(meta.more);
      return true;
    }
    if (text === REPLAYS_KEY) {
      this.replays.restore(value);
      return true;
    }
    return this.restoreEntry(text, value);
  }

  protected restoreEntry(key: string, value: Uint8Array): boolean {
    return this.state.restore(key, value);
  }
}

/** The mark of a replay; null for nearly every record. */
export function replayOf({ headers }: LogRecord): ReplayMark | null {
  return replayMarkOf(headers[REPLAY_HEADER]);
}

function parseMeta(value: Uint8Array): { progress: [string, readonly [number | null, number]][]; more: unknown } {
  try {
    return JSON.parse(Buffer.from(value).toString('utf8')) as ReturnType<typeof parseMeta>;
  } catch (error) {
    throw new TidemillError('STATE_CORRUPT', 'the progress in a snapshot cannot be read', {}, { cause: error });
  }
}
