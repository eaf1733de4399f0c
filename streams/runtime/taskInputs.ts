import type { LogRecord, TopicPartition } from '../../stores/log/log.js';
import type { InputPace } from './taskTimers.js';
import type { ParsedRecord } from './topology.js';

/** A record that could not be parsed waits in its place like any other. */
export type InputRecord =
  ParsedRecord | { readonly record: LogRecord; readonly time: number; readonly failure: unknown };

/** One input partition of a task: records that were read and not yet folded. */
export interface Input extends TopicPartition {
  readonly name: string;
  /** Next offset to enqueue; markers and aborted records included. */
  position: number;
  /** End of the partition as last seen. */
  highWatermark: number;
  bytes: number;
  isPaused: boolean;
  /** Its position is known: an assignment that comes again reads on from it. */
  isStarted: boolean;
}

/** The name under which offsets of a partition are kept: `TOPIC-PARTITION`. */
export function partitionName({ topic, partition }: TopicPartition): string {
  return `${topic}-${partition}`;
}

/**
 * The queues of one task, and the rule by which records are taken across them: by event time; an empty input is waited
 * for only while it has lag.
 *
 *   transactions-0   ·10:00 ·10:05        -> 10:00 is taken
 *   labels-0         (empty, no lag)
 */
export class TaskInputs {
  readonly inputs: readonly Input[];
  private readonly queues: LogRecord[][];
  private readonly heads: number[];
  private readonly parsed: (InputRecord | null)[];
  private readonly indexOf = new Map<string, number>();

  constructor(
    partitions: readonly TopicPartition[],
    private readonly parse: (record: LogRecord) => ParsedRecord,
    /** Does a partition go on behind what there is to read? @see RuntimeOptions.goesOn */
    private readonly goesOn: (partition: TopicPartition) => boolean = () => false,
  ) {
    this.inputs = partitions.map(({ topic, partition }, at) => {
      const name = partitionName({ topic, partition });
      this.indexOf.set(name, at);
      return { topic, partition, name, position: 0, highWatermark: 0, bytes: 0, isPaused: false, isStarted: false };
    });
    this.queues = partitions.map(() => []);
    this.heads = partitions.map(() => 0);
    this.parsed = partitions.map(() => null);
  }

  input(partition: TopicPartition): Input | undefined {
    return this.inputs[this.indexOf.get(partitionName(partition)) ?? -1];
  }

  /** Starts an input at an offset. */
  start(input: Input, offset: number, highWatermark: number): void {
    const at = this.indexOf.get(input.name) as number;
    this.queues[at] = [];
    this.heads[at] = 0;
    this.parsed[at] = null;
    input.position = offset;
    input.highWatermark = highWatermark;
    input.bytes = 0;
    input.isStarted = true;
  }

  /** Records read before a seek took effect come again: what lies behind the position is dropped. */
  enqueue(records: readonly LogRecord[]): void {
    const [first] = records;
    const at = first === undefined ? undefined : this.indexOf.get(partitionName(first));
    if (at === undefined) return;
    const input = this.inputs[at] as Input;
    const queue = this.queues[at] as LogRecord[];
    for (const record of records) {
      if (record.offset < input.position) continue;
      queue.push(record);
      input.bytes += sizeOf(record);
      input.position = record.offset + 1;
    }
  }

  advance(partition: TopicPartition, position: number, highWatermark: number): void {
    const input = this.input(partition);
    if (input === undefined) return;
    input.position = Math.max(input.position, position);
    input.highWatermark = Math.max(input.highWatermark, highWatermark);
  }

  /** Next offset to fold: where the partition goes on after everything folded so far. */
  nextOffset(input: Input): number {
    const at = this.indexOf.get(input.name) as number;
    return (this.queues[at] as LogRecord[])[this.heads[at] as number]?.offset ?? input.position;
  }

  /** How each input stands. */
  pace(): InputPace[] {
    return this.inputs.map((input) => {
      const { topic, partition } = input;
      const hasMore = this.nextOffset(input) < input.highWatermark;
      return { topic, partition, hasMore, goesOn: this.goesOn(input) };
    });
  }

  /** The next record in the order of the inputs; null where there is none, or an input with lag must be waited for. */
  take(): InputRecord | null {
    let earliest = -1;
    let time = Number.POSITIVE_INFINITY;
    for (let at = 0; at < this.inputs.length; at++) {
      const head = this.peek(at);
      if (head === null) {
        const input = this.inputs[at] as Input;
        if (input.position < input.highWatermark) return null;
      } else if (head.time < time || earliest === -1) {
        earliest = at;
        time = head.time;
      }
    }
    return earliest === -1 ? null : this.pop(earliest);
  }

  /** The next record below its input's limit, whatever the order between inputs: for silent replay. */
  takeBelow(limits: ReadonlyMap<string, number>): InputRecord | null {
    for (let at = 0; at < this.inputs.length; at++) {
      const record = (this.queues[at] as LogRecord[])[this.heads[at] as number];
      const limit = limits.get((this.inputs[at] as Input).name) as number;
      if (record === undefined || record.offset >= limit) continue;
      this.peek(at);
      return this.pop(at);
    }
    return null;
  }

  private peek(at: number): InputRecord | null {
    const known = this.parsed[at];
    if (known !== null && known !== undefined) return known;
    const record = (this.queues[at] as LogRecord[])[this.heads[at] as number];
    if (record === undefined) return null;
    let head: InputRecord;
    try {
      head = this.parse(record);
    } catch (failure) {
      // It holds up nobody: it is taken at once and set aside.
      head = { record, time: Number.NEGATIVE_INFINITY, failure };
    }
    this.parsed[at] = head;
    return head;
  }

  private pop(at: number): InputRecord {
    const head = this.parsed[at] as InputRecord;
    this.parsed[at] = null;
    const queue = this.queues[at] as LogRecord[];
    const index = this.heads[at] as number;
    (this.inputs[at] as Input).bytes -= sizeOf(head.record);
    this.heads[at] = index + 1;
    // The folded front is cut off now and then, not record by record.
    if (index + 1 === queue.length) {
      this.queues[at] = [];
      this.heads[at] = 0;
    } else if (index > 4_096) {
      this.queues[at] = queue.slice(index + 1);
      this.heads[at] = 0;
    }
    return head;
  }
}

function sizeOf(record: LogRecord): number {
  // About what a record costs on the heap besides its bytes.
  return (record.size ?? (record.key?.length ?? 0) + (record.value?.length ?? 0)) + 200;
}
