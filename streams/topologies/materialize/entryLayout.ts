import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import type { Value } from '../../../features/types.js';
import type { EntryWrite } from '../../../stores/online/onlineStore.js';
import { KeyChunks, WHOLE } from '../../state/keyChunks.js';

/** Events in a chunk at most; chunks that overflow are halved, so most hold about half as many or more. */
const MAX_CHUNK_EVENTS = 1_024;

/** How entries lie in the online store, and at which offset this task wrote each that has more than one chunk. */
export class EntryLayout {
  private readonly chunks: KeyChunks;
  private readonly offsets = new Map<Value, number>();

  constructor(private readonly operator: ViewOperator) {
    this.chunks = new KeyChunks(operator, MAX_CHUNK_EVENTS);
  }

  /**
   * The write that brings an entry to the state at `offset`, and what to note once it is done.
   *
   * @param from time of the earliest change since the last write; WHOLE where that is not known.
   */
  plan(key: Value, from: number, offset: number): { readonly write: EntryWrite; readonly done: () => void } {
    // An entry that is written or removed whole needs no chunk of before.
    if (from === WHOLE || !this.operator.has(key)) this.forget(key);
    const { chunks, dropped, starts } = this.chunks.plan(key, from);
    return {
      write: { key, offset, base: this.offsets.get(key) ?? null, chunks, dropped },
      done: () => {
        if (starts.length > 1) {
          this.chunks.note(key, starts);
          this.offsets.set(key, offset);
        } else this.forget(key);
      },
    };
  }

  /** The entry is not as this task left it, or nobody knows: it is written whole the next time. */
  forget(key: Value): void {
    this.chunks.forget(key);
    this.offsets.delete(key);
  }
}
