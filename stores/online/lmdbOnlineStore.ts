import { mkdirSync } from 'node:fs';
import { open, type RootDatabase } from 'lmdb';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { Value } from '../../features/types.js';
import { keyText, viewName } from './names.js';
import type {
  EntryWrite,
  MarkOutcome,
  MarkPlace,
  OnlineEntry,
  OnlineMark,
  OnlineRead,
  OnlineStore,
  OnlineWriter,
  ServeOutcome,
  ViewIdentity,
  WriteOutcome,
  WriteSequence,
} from './onlineStore.js';
import { retired } from './retired.js';

/**
 * The online store of one machine: a memory-mapped file that the processes of a project share. A read copies pages out of
 * the map and asks nobody.
 *
 *   [VIEW, 'serving'] | [VIEW, 'replaced', GENERATION]
 *   [VIEW, GENERATION, 'marks', PARTITION] | [VIEW, GENERATION, 'ready', PARTITION]
 *   [VIEW, GENERATION, 'entry', KEY]         head: who wrote it, at which offset, starts of its chunks
 *   [VIEW, GENERATION, 'entry', KEY, START]  chunk
 *   [VIEW, GENERATION, 'sequence', PARTITION, WRITER]   entries that he has written since his mark
 *
 * @throws TidemillError ONLINE_UNAVAILABLE where the folder cannot be opened.
 */
export function openLmdbOnlineStore(options: { readonly folder: string }): OnlineStore {
  const { folder } = options;
  try {
    mkdirSync(folder, { recursive: true });
    return new LmdbOnlineStore(folder, open<unknown, Key>({ path: folder, noSubdir: false }));
  } catch (error) {
    throw new TidemillError(
      'ONLINE_UNAVAILABLE',
      `the online store in ${folder} cannot be opened: ${messageOf(error)}`,
      { folder },
      { cause: error },
    );
  }
}

type Key = (string | number)[];

interface Head {
  readonly writer: string;
  readonly partition: number;
  readonly offset: number;
  /** Heads of before corrections were told apart have none. */
  readonly corrections?: number;
  readonly starts: readonly number[];
}

class LmdbOnlineStore implements OnlineStore {
  readonly place: string;

  constructor(
    folder: string,
    private readonly database: RootDatabase<unknown, Key>,
  ) {
    this.place = folder;
  }

  read(view: ViewIdentity, keys: readonly Value[]): Promise<OnlineRead> {
    // Another process may have written since this one last looked.
    this.database.resetReadTxn();
    const name = viewName(view);
    const generation = this.servingOf(name);
    const entries = keys.map((key) =>
      generation === null ? null : this.entryOf([name, generation, 'entry', keyText(key)]),
    );
    const marks = generation === null ? new Map<number, OnlineMark>() : this.marksOf(name, generation);
    return Promise.resolve({ generation, entries, marks });
  }

  private entryOf(place: Key): OnlineEntry | null {
    const head = this.database.get(place) as Head | undefined;
    if (head === undefined) return null;
    const chunks = head.starts.map((start) => this.database.get([...place, start]) as Uint8Array);
    return { partition: head.partition, offset: head.offset, chunks };
  }

  marks(view: ViewIdentity, generation: number): Promise<ReadonlyMap<number, OnlineMark>> {
    this.database.resetReadTxn();
    return Promise.resolve(this.marksOf(viewName(view), generation));
  }

  private marksOf(name: string, generation: number): Map<number, OnlineMark> {
    const marks = new Map<number, OnlineMark>();
    for (const { key, value } of this.under([name, generation, 'marks']))
      marks.set(key[3] as number, value as OnlineMark);
    return marks;
  }

  serving(view: ViewIdentity): Promise<number | null> {
    this.database.resetReadTxn();
    return Promise.resolve(this.servingOf(viewName(view)));
  }

  private servingOf(name: string): number | null {
    return (this.database.get([name, 'serving']) as number | undefined) ?? null;
  }

  async write(
    view: ViewIdentity,
    writer: OnlineWriter,
    writes: readonly EntryWrite[],
    sequence?: WriteSequence,
  ): Promise<WriteOutcome[]> {
    const name = viewName(view);
    return this.change(view, writer, () => {
      if (!this.hasWritten(name, writer, sequence?.acknowledged ?? 0)) return writes.map(() => 'lost');
      const outcomes = writes.map((write) => this.writeEntry(name, writer, write));
      if (sequence !== undefined) void this.database.put(sequenceOf(name, writer), sequence.sent + writes.length);
      return outcomes;
    });
  }

  private hasWritten(name: string, writer: OnlineWriter, wanted: number): boolean {
    return wanted === 0 || ((this.database.get(sequenceOf(name, writer)) as number | undefined) ?? -1) >= wanted;
  }

  private writeEntry(
    name: string,
    writer: OnlineWriter,
    { key, offset, corrections = 0, base, chunks, dropped }: EntryWrite,
  ): WriteOutcome {
    const place: Key = [name, writer.generation, 'entry', keyText(key)];
    const head = this.database.get(place) as Head | undefined;
    if (head !== undefined && isLater(head, { offset, corrections })) return 'stale';
    if (base !== null && (head === undefined || head.offset !== base || head.writer !== writer.name)) return 'changed';
    const starts = new Set(base === null ? [] : (head?.starts ?? []));
    for (const start of base === null ? (head?.starts ?? []) : dropped) {
      starts.delete(start);
      void this.database.remove([...place, start]);
    }
    for (const { start, bytes } of chunks) {
      starts.add(start);
      void this.database.put([...place, start], bytes);
    }
    if (starts.size === 0) void this.database.remove(place);
    else {
      const next: Head = {
        writer: writer.name,
        partition: writer.partition,
        offset,
        corrections,
        starts: [...starts].sort((a, b) => a - b),
      };
      void this.database.put(place, next);
    }
    return 'written';
  }

  async mark(
    view: ViewIdentity,
    writer: OnlineWriter,
    mark: OnlineMark,
    after: MarkPlace | null,
    acknowledged = 0,
  ): Promise<MarkOutcome> {
    const name = viewName(view);
    const place: Key = [name, writer.generation, 'marks', writer.partition];
    return this.change(view, writer, () => {
      const stored = this.database.get(place) as OnlineMark | undefined;
      if (stored !== undefined && isLater(stored, mark)) return 'stale';
      if (after !== null && (stored === undefined || isLater(after, stored))) return 'lost';
      if (!this.hasWritten(name, writer, acknowledged)) return 'lost';
      void this.database.put(place, mark);
      void this.database.remove(sequenceOf(name, writer));
      return 'marked';
    });
  }

  async serve(view: ViewIdentity, writer: OnlineWriter, partitions: number): Promise<ServeOutcome> {
    const { generation, partition } = writer;
    const name = viewName(view);
    return this.change(view, writer, (): ServeOutcome => {
      const serving = this.servingOf(name);
      if (serving === generation) return { kind: 'serving', replaced: this.replacedOf(name) };
      const own = this.marksOf(name, generation).get(partition);
      const theirs = serving === null ? undefined : this.marksOf(name, serving).get(partition);
      if (own !== undefined && own.offset >= (theirs?.offset ?? 0)) {
        void this.database.put([name, generation, 'ready', partition], true);
      }
      if ([...this.under([name, generation, 'ready'])].length < partitions) return { kind: 'behind' };
      void this.database.put([name, 'serving'], generation);
      if (serving !== null) void this.database.put([name, 'replaced', serving], true);
      return { kind: 'switched', replaced: this.replacedOf(name) };
    });
  }

  private replacedOf(name: string): number[] {
    return [...this.under([name, 'replaced'])].map(({ key }) => key[2] as number);
  }

  async drop(view: ViewIdentity, generation: number): Promise<void> {
    const name = viewName(view);
    await this.database.transaction(() => {
      if (this.servingOf(name) === generation) return;
      for (const { key } of [...this.under([name, generation])]) void this.database.remove(key);
      void this.database.remove([name, 'replaced', generation]);
    });
  }

  async remove(view: ViewIdentity): Promise<void> {
    await this.database.transaction(() => {
      for (const { key } of [...this.under([viewName(view)])]) void this.database.remove(key);
    });
  }

  private under(prefix: Key): Iterable<{ key: Key; value: unknown }> {
    // Arrays are ordered by their elements: what begins with the prefix lies between it and itself with a greatest element.
    return this.database.getRange({ start: prefix, end: [...prefix, '\uffff'] });
  }

  /** One LMDB transaction, refused to a generation that was replaced. */
  private async change<T>(view: ViewIdentity, writer: OnlineWriter, work: () => T): Promise<T> {
    const result = await this.database.transaction((): { value: T } | { serving: number } => {
      const serving = this.servingOf(viewName(view));
      return serving !== null && serving > writer.generation ? { serving } : { value: work() };
    });
    if ('serving' in result) throw retired(view, writer, result.serving);
    return result.value;
  }

  async close(): Promise<void> {
    await this.database.close();
  }
}

function sequenceOf(name: string, { generation, partition, name: writer }: OnlineWriter): Key {
  return [name, generation, 'sequence', partition, writer];
}

/** Is a state later than another one? */
function isLater(one: Partial<MarkPlace> & { readonly offset: number }, other: MarkPlace): boolean {
  return one.offset === other.offset ? (one.corrections ?? 0) > other.corrections : one.offset > other.offset;
}
