import { TidemillError } from '../../../contracts/errors.js';
import { createViewOperator } from '../../../features/operator/createViewOperator.js';
import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import type { CompiledStream } from '../../../features/compiledView.js';
import type { StreamEvent, Value } from '../../../features/types.js';
import type { Stage } from './scorePlan.js';
import { SourceProgress } from './sourceProgress.js';

interface StagePart {
  readonly operator: ViewOperator;
  readonly start: number;
  readonly own: boolean;
}

/** One snapshot entry. The first character of the key says what it is. */
export interface StateEntry {
  readonly key: Uint8Array;
  readonly value: Uint8Array | null;
}

/** State of one task of a stage: its views' windows, and how far each stream that feeds them has come. */
export class StageState {
  private readonly parts: readonly StagePart[];
  readonly progress = new Map<string, SourceProgress>();

  constructor(
    private readonly stage: Stage,
    streams: readonly CompiledStream[],
  ) {
    this.parts = stage.views.map(({ view, start, own }) => ({ operator: createViewOperator(view), start, own }));
    for (const stream of streams) this.progress.set(stream.name, new SourceProgress(stream));
  }

  progressOf(stream: CompiledStream): SourceProgress {
    return this.progress.get(stream.name) as SourceProgress;
  }

  /** Folds an event into every view of its stream; true where it is a duplicate of one that is there. */
  insert(stream: CompiledStream, { time, id, values }: StreamEvent, partition: number, offset: number): boolean {
    let isDuplicate = false;
    for (const { operator } of this.parts) {
      if (operator.view.stream.name !== stream.name) continue;
      const key = values[operator.view.key] as Value;
      if (operator.insert(key, time, id, values, partition, offset) === 'duplicate') isDuplicate = true;
    }
    return isDuplicate;
  }

  /** Writes the stage's columns of a request's vector. */
  evaluate({ time, id, values }: StreamEvent, vector: Float64Array): void {
    const key = values[this.stage.field] as Value;
    for (const { operator, start, own } of this.parts) {
      operator.valuesAt(key, time, own ? id : null, own, vector, start);
    }
  }

  /** The encoded state of one key; undefined where no such view is kept here. */
  stateOf(view: string, key: Value): Uint8Array | null | undefined {
    return this.parts.find(({ operator }) => operator.view.name === view)?.operator.encodeKey(key);
  }

  evict(watermark: number): void {
    for (const { operator } of this.parts) operator.evict(watermark);
  }

  *snapshot(): Iterable<StateEntry> {
    for (const [at, { operator }] of this.parts.entries()) {
      for (const key of operator.takeDirtyKeys()) {
        yield { key: Buffer.from(`v${at}:${JSON.stringify(key)}`), value: operator.encodeKey(key) };
      }
    }
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(key: string, value: Uint8Array): void {
    const match = /^v(\d+):(.*)$/s.exec(key);
    const part = match === null ? undefined : this.parts[Number(match[1])];
    if (part === undefined)
      throw new TidemillError('STATE_CORRUPT', `snapshot entry ${JSON.stringify(key)} belongs to nothing`, { key });
    part.operator.decodeKey(JSON.parse((match as RegExpExecArray)[2] as string) as Value, value);
  }
}
