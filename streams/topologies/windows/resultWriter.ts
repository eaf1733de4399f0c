import { streamTopic } from '../../../contracts/topics.js';
import type { CompiledWindows } from '../../../features/compiledWindows.js';
import type { Value } from '../../../features/types.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import type { Output } from '../../runtime/topology.js';
import type { RowStore } from '../../windows/rowStore.js';
import type { WindowSink } from '../../windows/windowState.js';
import type { AggregatePlan } from '../../windows/aggregatePlan.js';

/** Writes results as WindowRecords: the only place that knows how they look in the log. */
export class ResultWriter implements WindowSink {
  private readonly topic: string;
  private output: Output | null = null;
  /** Where many windows close, they have their times in common. */
  private start = Number.NaN;
  private end = Number.NaN;
  private times = '';

  constructor(
    project: string,
    { to }: CompiledWindows,
    private readonly plan: AggregatePlan,
    private readonly partitions: number,
  ) {
    this.topic = streamTopic(project, to);
  }

  /** This sink, writing to `output`. */
  to(output: Output): this {
    this.output = output;
    return this;
  }

  result(store: RowStore, row: number, key: Value, start: number, end: number, revision: number): void {
    this.emit(key, start, end, `${revision},${this.plan.json(store, row)}`);
  }

  retract(key: Value, start: number, end: number, revision: number): void {
    this.emit(key, start, end, `${revision},"retracted":true`);
  }

  private emit(key: Value, start: number, end: number, rest: string): void {
    if (start !== this.start || end !== this.end) {
      this.start = start;
      this.end = end;
      this.times = `,"start":${start},"end":${end},"revision":`;
    }
    const text = String(key);
    const partition = partitionOf(text, this.partitions);
    const value = `{"key":${typeof key === 'string' ? JSON.stringify(key) : text}${this.times}${rest}}`;
    (this.output as Output).emit({ topic: this.topic, partition, key: text, value });
  }
}
