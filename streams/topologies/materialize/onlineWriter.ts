import type { CompiledView } from '../../../features/compiledView.js';
import type { ViewOperator } from '../../../features/operator/viewOperator.js';
import type { Value } from '../../../features/types.js';
import { TidemillError } from '../../../contracts/errors.js';
import type { OnlineMark, OnlineStore, OnlineWriter, ViewIdentity } from '../../../stores/online/onlineStore.js';
import { WHOLE } from '../../state/keyChunks.js';
import { EntryLayout } from './entryLayout.js';

/** Entries planned and sent at a time: bounds what is encoded and not yet written. */
const BATCH_KEYS = 200;
/** A store that loses its marks again and again while it is written is left alone until the next call. */
const MAX_ATTEMPTS = 3;

/** A mark that was confirmed so recently is somebody else's who still writes, ms: during a rolling restart, say. */
const WRITTEN_LATELY_MS = 30_000;

/** The position that a task has committed. */
export type Committed = Pick<OnlineMark, 'offset' | 'corrections' | 'watermark' | 'newest' | 'completeAt'>;

/**
 * Brings the online store to the state of one task.
 *
 *   1. find the mark, once and after every loss: what changed since is written again; all where there is none
 *   2. write what changed, each entry with the committed offset
 *   3. set the mark: everything below it is in the store. A mark that is gone starts over with 1, and so do entries of 2
 *   4. serve, once all partitions of this generation have caught up; the generation before is removed
 *
 * A crash between any two steps leaves a mark that is too low, never one too high: a repetition writes the same state. Nor
 * does a server that forgets the last of what it has answered: each write names what must be there of those before.
 */
export class OnlineViewWriter {
  private readonly layout: EntryLayout;
  /** Time of the earliest change of each key since it was written. */
  private readonly changed = new Map<Value, number>();
  /** The mark as last set or found; undefined until it is looked for. */
  private known: OnlineMark | null | undefined;
  /** Entries sent in the life of this writer, and how many of them must be in the store besides what its mark covers. */
  private sent = 0;
  private acknowledged = 0;

  constructor(
    private readonly options: {
      readonly store: OnlineStore;
      readonly identity: ViewIdentity;
      readonly view: CompiledView;
      readonly writer: OnlineWriter;
      readonly partitions: number;
      readonly nowMs: () => number;
    },
    private readonly operator: ViewOperator,
  ) {
    this.layout = new EntryLayout(operator);
  }

  /** An event of this time was inserted; WHOLE where the key lost its last one. */
  note(key: Value, time: number): void {
    const earliest = this.changed.get(key);
    if (earliest === undefined || time < earliest) this.changed.set(key, time);
  }

  /**
   * @param mayServe false while history is still being read: readers would take what is not written yet for absent.
   * @throws TidemillError ONLINE_UNAVAILABLE: nothing is forgotten, call again; ONLINE_GENERATION_RETIRED, ONLINE_AHEAD.
   */
  async bringTo(committed: Committed, mayServe: boolean): Promise<void> {
    const { store, identity, writer } = this.options;
    for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
      // 1 find the mark
      if (this.known === undefined) {
        const found = await this.findMark(committed, mayServe);
        if (found === 'ahead') return;
        this.known = found;
      }
      // 2 write
      const isWritten = await this.writeChanged(committed);
      // 3 mark
      const mark: OnlineMark = { ...committed, confirmedAt: this.options.nowMs() };
      const outcome = isWritten ? await store.mark(identity, writer, mark, this.known, this.acknowledged) : 'lost';
      if (outcome === 'lost') {
        this.known = undefined;
        this.acknowledged = 0;
        continue;
      }
      if (outcome === 'marked') {
        this.known = mark;
        this.acknowledged = 0;
      }
      // 4 serve, each time: the switch may have been the last thing that a server forgot
      if (mayServe) await this.serve();
      return;
    }
  }

  /** `ahead`: another group wrote the view before and got further, or still does; what it wrote is right until we get there. */
  private async findMark(
    { offset, corrections }: Committed,
    hasCaughtUp: boolean,
  ): Promise<OnlineMark | null | 'ahead'> {
    const { store, identity, view, writer } = this.options;
    const found = (await store.marks(identity, writer.generation)).get(writer.partition) ?? null;
    if (found !== null && (found.offset > offset || found.corrections > corrections)) {
      if (!hasCaughtUp || this.options.nowMs() - found.confirmedAt < WRITTEN_LATELY_MS) return 'ahead';
      throw new TidemillError(
        'ONLINE_AHEAD',
        `${view.name}: ${store.place} was written up to offset ${found.offset} of partition ${writer.partition}; ${offset} is committed`,
        { view: view.name, partition: writer.partition, marked: found.offset, committed: offset },
      );
    }
    // A correction stands at its event's old place: which keys one changed cannot be told from their offsets.
    const isWhole = found === null || found.corrections < corrections;
    for (const key of isWhole ? this.operator.keys() : this.operator.keysSince(found.offset)) this.note(key, WHOLE);
    return found;
  }

  /** False where what was written before is lost: what is left is not written. */
  private async writeChanged({ offset, corrections }: Committed): Promise<boolean> {
    const { store, identity, writer } = this.options;
    while (this.changed.size > 0) {
      const keys: Value[] = [];
      for (const key of this.changed.keys()) if (keys.push(key) === BATCH_KEYS) break;
      const plans = keys.map((key) => this.layout.plan(key, this.changed.get(key) as number, offset));
      // Until the answer nobody knows how the entries lie.
      for (const key of keys) this.layout.forget(key);
      const sequence = { acknowledged: this.acknowledged, sent: this.sent };
      this.sent += plans.length;
      const writes = plans.map(({ write }) => ({ ...write, corrections }));
      const outcomes = await store.write(identity, writer, writes, sequence);
      if (outcomes.includes('lost')) return false;
      this.acknowledged = this.sent;
      for (const [at, key] of keys.entries()) {
        // What changed under us is written whole in the next round; what somebody else wrote later stands.
        if (outcomes[at] === 'changed') this.changed.set(key, WHOLE);
        else this.changed.delete(key);
        if (outcomes[at] === 'written') plans[at]?.done();
      }
    }
    return true;
  }

  private async serve(): Promise<void> {
    const { store, identity, writer, partitions } = this.options;
    const outcome = await store.serve(identity, writer, partitions);
    // Whoever switched may have died of it, or the store may have gone away in the midst of it.
    if (outcome.kind !== 'behind') for (const replaced of outcome.replaced) await store.drop(identity, replaced);
  }
}
