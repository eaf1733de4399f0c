import type { CompiledStream } from '../../../features/compiledView.js';
import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import type { StreamEvent, Value } from '../../../features/types.js';
import { viewIdentity } from '../../../features/vectorLayout.js';
import type { NeededHistory } from '../../runtime/topology.js';
import { SourceProgress } from './sourceProgress.js';

/** Events between two evictions. */
const EVENTS_PER_SWEEP = 4_096;

/**
 * Builds the views that a snapshot lacks from the records before it, while all other state stays where the snapshot left
 * it. What is late is decided as it was then: by a watermark that starts with the log.
 *
 *   log       0 ················ S ········· C
 *   others    (in the snapshot)    fold
 *   this view fold               fold
 */
export class LackingViews {
  private readonly progress = new Map<string, SourceProgress>();
  private folded = 0;

  constructor(
    private readonly operators: readonly ViewOperator[],
    /** Watermark of the snapshot: no request before it will be answered any more. */
    private readonly requestWatermark: number,
  ) {
    for (const { view } of operators) {
      if (!this.progress.has(view.stream.name)) this.progress.set(view.stream.name, new SourceProgress(view.stream));
    }
  }

  /** What they are built from, and the age from which on it counts. */
  neededHistory(topicOf: (stream: CompiledStream) => string): readonly NeededHistory[] {
    return [...this.progress.keys()].map((name) => {
      const views = this.operators.map(({ view }) => view).filter(({ stream }) => stream.name === name);
      const { stream } = views[0] as (typeof views)[number];
      const keepMs = Math.max(...views.map((view) => view.keepMs));
      return {
        topic: topicOf(stream),
        parts: views.map((view) => ({ identity: viewIdentity(view), name: view.name })),
        appendedSince: this.requestWatermark - keepMs - stream.maxFutureMs,
      };
    });
  }

  fold(stream: CompiledStream, event: StreamEvent, partition: number, offset: number): void {
    const progress = this.progress.get(stream.name);
    if (progress === undefined || progress.isLate(event.time)) return;
    progress.observe(event.time);
    this.insert(stream, event, partition, offset, progress.watermark);
  }

  /**
   * Inserts an event that is known to have been in time.
   *
   * @param watermark what is forgotten lies behind it, and behind that of the requests.
   */
  insert(
    stream: CompiledStream,
    { time, id, values }: StreamEvent,
    partition: number,
    offset: number,
    watermark = this.requestWatermark,
  ): void {
    for (const operator of this.operators) {
      const { view } = operator;
      if (view.stream.name === stream.name)
        operator.insert(values[view.key] as Value, time, id, values, partition, offset);
      // Long histories go as they come: what no request can see any more is forgotten.
      if (this.folded % EVENTS_PER_SWEEP === 0) operator.evict(Math.min(watermark, this.requestWatermark));
    }
    this.folded++;
  }
}
