import { TidemillError } from '../../../contracts/errors.js';
import { createViewOperator } from '../../../features/operator/createViewOperator.js';
import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import { viewIdentity } from '../../../features/vectorLayout.js';
import type { CompiledStream } from '../../../features/compiledView.js';
import type { StreamEvent, Value } from '../../../features/types.js';
import { ViewSnapshot } from '../../state/viewSnapshot.js';
import type { Stage } from './scorePlan.js';
import { SourceProgress } from './sourceProgress.js';

interface StagePart {
  /** Names its entries in snapshots, so that a change of the other views does not touch them. */
  readonly identity: string;
  readonly operator: ViewOperator;
  readonly stored: ViewSnapshot;
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
    this.parts = stage.views.map(({ view, start, own }) => {
      const operator = createViewOperator(view);
      return { identity: viewIdentity(view), operator, stored: new ViewSnapshot(operator), start, own };
    });
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

  /** Identities of the views. */
  get identities(): readonly string[] {
    return this.parts.map(({ identity }) => identity);
  }

  /** The operators of some views, by identity. */
  operatorsOf(identities: ReadonlySet<string>): readonly ViewOperator[] {
    return this.parts.filter(({ identity }) => identities.has(identity)).map(({ operator }) => operator);
  }

  evict(watermark: number): void {
    for (const { operator } of this.parts) operator.evict(watermark);
  }

  *snapshot(): Iterable<StateEntry> {
    for (const { identity, stored } of this.parts) {
      for (const { key, value } of stored.entries()) yield { key: Buffer.from(`v${identity}:${key}`), value };
    }
  }

  /**
   * False where the entry is of a view that this stage does not have.
   *
   * @throws TidemillError STATE_CORRUPT
   */
  restore(key: string, value: Uint8Array): boolean {
    const match = /^v([0-9a-f]+):(.*)$/s.exec(key);
    if (match === null)
      throw new TidemillError('STATE_CORRUPT', `snapshot entry ${JSON.stringify(key)} belongs to nothing`, { key });
    const part = this.parts.find(({ identity }) => identity === match[1]);
    part?.stored.restore(match[2] as string, value);
    return part !== undefined;
  }
}
