import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type {
  EntryWrite,
  OnlineMark,
  OnlineStore,
  OnlineWriter,
  ViewIdentity,
} from '../../../../stores/online/onlineStore.js';

export interface OnlineFixture {
  /** Another connection to the same store, as another process would have it. */
  open(): OnlineStore;
  dispose(): Promise<void>;
}

const bytes = (text: string): Uint8Array => Buffer.from(text);
const writerOf = (generation: number, name = 'w', partition = 0): OnlineWriter => ({ generation, partition, name });

/** A whole entry of one chunk. */
export function whole(key: EntryWrite['key'], offset: number, text: string): EntryWrite {
  return { key, offset, base: null, chunks: [{ start: 0, bytes: bytes(text) }], dropped: [] };
}

export function markAt(offset: number): OnlineMark {
  return { offset, corrections: 0, watermark: offset * 10, newest: offset * 20, confirmedAt: 1_000 + offset };
}

/** What every adapter of the online store must do. */
export function describeOnlineStore(name: string, create: () => Promise<OnlineFixture>): void {
  describe(name, () => {
    let fixture: OnlineFixture;
    let store: OnlineStore;
    let other: OnlineStore;
    let view: ViewIdentity;
    let views = 0;
    beforeAll(async () => {
      fixture = await create();
      store = fixture.open();
      other = fixture.open();
    });
    afterAll(async () => {
      await store.close();
      await other.close();
      await fixture.dispose();
    });
    beforeEach(() => {
      view = { project: 'p', name: `spending_${++views}`, hash: 'a'.repeat(64) };
    });

    /** Makes a generation the one that serves. */
    const serve = async (generation: number, offset = 0): Promise<void> => {
      await store.mark(view, writerOf(generation), markAt(offset), null);
      expect(await store.serve(view, writerOf(generation), 1)).toMatchObject({ kind: 'switched' });
    };
    /** Chunks of one key as text, as another process reads them. */
    const textsOf = async (key: EntryWrite['key']): Promise<string[] | null> => {
      const [entry] = (await other.read(view, [key])).entries;
      return entry?.chunks.map((chunk) => Buffer.from(chunk).toString()) ?? null;
    };

    test('nothing is read before a generation serves, and everything of it after', async () => {
      expect(await store.write(view, writerOf(1), [whole(7, 5, 'seven'), whole('7', 6, 'text')])).toEqual([
        'written',
        'written',
      ]);
      expect(await other.read(view, [7])).toEqual({ generation: null, entries: [null], marks: new Map() });
      await serve(1);
      const { generation, entries, marks } = await other.read(view, ['7', 8, 7]);
      expect(marks).toEqual(new Map([[0, markAt(0)]]));
      expect(generation).toBe(1);
      expect(entries.map((entry) => entry?.offset ?? null)).toEqual([6, null, 5]);
      expect(await textsOf(7)).toEqual(['seven']);
    });

    test('an entry of an earlier offset is refused; the same and later ones replace it', async () => {
      await serve(1);
      expect(await store.write(view, writerOf(1), [whole(1, 10, 'ten')])).toEqual(['written']);
      expect(await other.write(view, writerOf(1, 'z'), [whole(1, 9, 'nine'), whole(2, 9, 'two')])).toEqual([
        'stale',
        'written',
      ]);
      expect(await textsOf(1)).toEqual(['ten']);
      expect(await other.write(view, writerOf(1, 'z'), [whole(1, 10, 'ten again')])).toEqual(['written']);
      expect(await other.write(view, writerOf(1, 'z'), [whole(1, 11, 'eleven')])).toEqual(['written']);
      expect(await textsOf(1)).toEqual(['eleven']);
    });

    test('offsets compare as numbers', async () => {
      await serve(1);
      await store.write(view, writerOf(1), [whole(1, 9_007_199_254_740_990, 'late')]);
      expect(await store.write(view, writerOf(1), [whole(1, 10, 'early')])).toEqual(['stale']);
      await store.write(view, writerOf(1), [whole(2, 9, 'nine')]);
      expect(await store.write(view, writerOf(1), [whole(2, 10, 'ten')])).toEqual(['written']);
    });

    test('changed chunks apply to the entry that their writer wrote, and to no other', async () => {
      await serve(1);
      const chunks = [-5, 20, 100].map((start) => ({ start, bytes: bytes(`from ${start}`) }));
      await store.write(view, writerOf(1), [{ key: 1, offset: 10, base: null, chunks, dropped: [] }]);
      const change = (base: number, offset: number): EntryWrite => ({
        key: 1,
        offset,
        base,
        chunks: [
          { start: 100, bytes: bytes('changed') },
          { start: 300, bytes: bytes('added') },
        ],
        dropped: [-5],
      });
      expect(await store.write(view, writerOf(1), [change(10, 12)])).toEqual(['written']);
      expect(await textsOf(1)).toEqual(['from 20', 'changed', 'added']);
      // Its base is gone now, another writer laid his chunks out for himself, and a key without an entry has no base.
      expect(await store.write(view, writerOf(1), [change(10, 13)])).toEqual(['changed']);
      expect(await store.write(view, writerOf(1, 'z'), [change(12, 13)])).toEqual(['changed']);
      expect(await store.write(view, writerOf(1), [{ ...change(12, 13), key: 2 }])).toEqual(['changed']);
      expect(await textsOf(1)).toEqual(['from 20', 'changed', 'added']);
      expect(await textsOf(2)).toBeNull();
    });

    test('an entry without chunks is gone', async () => {
      await serve(1);
      await store.write(view, writerOf(1), [whole(1, 1, 'one'), whole(2, 1, 'two')]);
      await store.write(view, writerOf(1), [{ key: 1, offset: 2, base: null, chunks: [], dropped: [] }]);
      await store.write(view, writerOf(1), [{ key: 2, offset: 2, base: 1, chunks: [], dropped: [0] }]);
      expect((await other.read(view, [1, 2])).entries).toEqual([null, null]);
    });

    test('a mark moves forward only, and its loss is told', async () => {
      expect(await store.mark(view, writerOf(1), markAt(10), null)).toBe('marked');
      expect(await other.mark(view, writerOf(1), markAt(20), markAt(10))).toBe('marked');
      expect(await store.mark(view, writerOf(1), markAt(15), markAt(10))).toBe('stale');
      expect(await store.mark(view, writerOf(1), markAt(40), markAt(30))).toBe('lost');
      expect(await store.mark(view, writerOf(1, 'w', 1), markAt(40), markAt(30))).toBe('lost');
      expect(await other.marks(view, 1)).toEqual(new Map([[0, markAt(20)]]));
    });

    test('of marks and entries at one offset those with more corrections are the later ones', async () => {
      const marked = { ...markAt(10), corrections: 5 };
      expect(await store.mark(view, writerOf(1), marked, null)).toBe('marked');
      expect(await other.mark(view, writerOf(1), markAt(10), null)).toBe('stale');
      // The mark is as a server has it that went back to before the last corrections.
      expect(
        await store.mark(view, writerOf(1), { ...markAt(10), corrections: 7 }, { ...marked, corrections: 6 }),
      ).toBe('lost');
      await serve(1, 20);
      await store.write(view, writerOf(1), [{ ...whole(1, 20, 'corrected'), corrections: 5 }]);
      const delayed = { ...whole(1, 20, 'not yet'), corrections: 4 };
      expect(await other.write(view, writerOf(1, 'z'), [delayed])).toEqual(['stale']);
      expect(await textsOf(1)).toEqual(['corrected']);
      expect(await other.write(view, writerOf(1, 'z'), [{ ...delayed, offset: 21 }])).toEqual(['written']);
    });

    test('neither entries nor a mark follow upon entries that are gone', async () => {
      const writer = writerOf(1);
      const first = [whole(1, 5, 'one'), whole(2, 5, 'two')];
      const begun = { acknowledged: 0, sent: 0 };
      expect(await store.write(view, writer, first, begun)).toEqual(['written', 'written']);
      await other.remove(view);
      expect(await store.write(view, writer, [whole(3, 5, 'three')], { acknowledged: 2, sent: 2 })).toEqual(['lost']);
      expect(await store.mark(view, writer, markAt(5), null, 2)).toBe('lost');
      await serve(1);
      expect(await textsOf(3)).toBeNull();

      await store.write(view, writer, first, begun);
      expect(await store.write(view, writer, [whole(3, 5, 'three')], { acknowledged: 2, sent: 4 })).toEqual([
        'written',
      ]);
      // Another writer of the partition has a sequence of his own.
      await other.write(view, writerOf(1, 'z'), [whole(4, 5, 'four')], begun);
      expect(await store.mark(view, writer, markAt(5), null, 5)).toBe('marked');
      // The mark ends the sequence: what is to be there from then on it says itself.
      expect(await store.write(view, writer, [whole(5, 6, 'five')], { acknowledged: 0, sent: 5 })).toEqual(['written']);
      expect(await store.mark(view, writer, markAt(6), markAt(5), 6)).toBe('marked');
      expect(await store.mark(view, writer, markAt(6), markAt(5), 6)).toBe('lost');
    });

    test('a new generation is written unseen and replaces the old one when all partitions have caught up', async () => {
      const [old, next] = [writerOf(1), writerOf(2)];
      await serve(1, 100);
      await store.mark(view, writerOf(1, 'w', 1), markAt(50), null);
      await store.write(view, old, [whole(1, 100, 'old')]);
      await other.write(view, next, [whole(1, 30, 'new')]);
      await other.mark(view, next, markAt(30), null);
      expect(await other.serve(view, next, 2)).toEqual({ kind: 'behind' });
      expect(await textsOf(1)).toEqual(['old']);
      await other.mark(view, next, markAt(100), markAt(30));
      expect(await other.serve(view, next, 2)).toEqual({ kind: 'behind' });
      await other.mark(view, writerOf(2, 'v', 1), markAt(50), null);
      expect(await other.serve(view, writerOf(2, 'v', 1), 2)).toEqual({ kind: 'switched', replaced: [1] });
      // It is named until somebody has removed it.
      expect(await store.serve(view, next, 2)).toEqual({ kind: 'serving', replaced: [1] });
      await other.drop(view, 1);
      expect(await store.serve(view, next, 2)).toEqual({ kind: 'serving', replaced: [] });
      expect(await textsOf(1)).toEqual(['new']);
      expect(await store.serving(view)).toBe(2);
    });

    test('a reader that knew the old generation sees the new one at its next read', async () => {
      await serve(1);
      await store.write(view, writerOf(1), [whole(1, 1, 'old')]);
      expect(await textsOf(1)).toEqual(['old']);
      await store.write(view, writerOf(2), [whole(1, 1, 'new')]);
      await serve(2);
      await store.drop(view, 1);
      expect(await textsOf(1)).toEqual(['new']);
      expect(await store.marks(view, 1)).toEqual(new Map());
    });

    test('writers of a generation that was replaced are refused, and change nothing', async () => {
      await serve(1);
      await serve(2);
      const old = writerOf(1);
      for (const refused of [
        () => store.write(view, old, [whole(1, 1, 'one')]),
        () => store.mark(view, old, markAt(9), null),
        () => store.serve(view, old, 1),
      ]) {
        await expect(refused()).rejects.toMatchObject({ code: 'ONLINE_GENERATION_RETIRED' });
      }
      expect(await store.marks(view, 1)).toEqual(new Map([[0, markAt(0)]]));
    });

    test('a view that is removed is gone with all generations, and can be written again; others stay', async () => {
      const kept = view;
      await serve(1);
      await store.write(kept, writerOf(1), [whole(1, 1, 'kept')]);
      view = { ...kept, hash: `ff${kept.hash.slice(2)}` };
      await serve(1);
      await store.write(view, writerOf(1), [whole(1, 1, 'one')]);
      await store.write(view, writerOf(2), [whole(1, 1, 'two')]);
      await store.mark(view, writerOf(2), markAt(1), null);
      expect((await other.read(view, [1])).generation).toBe(1);
      await store.remove(view);
      expect(await other.read(view, [1])).toEqual({ generation: null, entries: [null], marks: new Map() });
      for (const generation of [1, 2]) expect(await other.marks(view, generation)).toEqual(new Map());
      await serve(1);
      expect(await textsOf(1)).toBeNull();
      expect((await other.read(kept, [1])).entries).toHaveLength(1);
      expect((await other.read(kept, [1])).entries[0]).not.toBeNull();
      await store.remove({ ...view, name: 'never-written' });
    });

    test('the generation that serves cannot be dropped', async () => {
      await serve(1);
      await store.write(view, writerOf(1), [whole(1, 1, 'one')]);
      await store.drop(view, 1);
      expect(await textsOf(1)).toEqual(['one']);
    });

    test('versions of a view, and views of two projects, share nothing', async () => {
      await serve(1);
      await store.write(view, writerOf(1), [whole(1, 1, 'one')]);
      for (const foreign of [
        { ...view, hash: 'b'.repeat(64) },
        { ...view, project: 'q' },
      ]) {
        expect(await store.read(foreign, [1])).toEqual({ generation: null, entries: [null], marks: new Map() });
      }
    });

    test('of racing writers the one of the latest offset stands', async () => {
      await serve(1);
      const offsets = Array.from({ length: 40 }, (_, at) => at + 1);
      const shuffled = [...offsets].sort((a, b) => ((a * 17) % 41) - ((b * 17) % 41));
      await Promise.all(
        shuffled.map((offset) =>
          (offset % 2 === 0 ? store : other).write(view, writerOf(1, `w${offset}`), [whole(1, offset, `at ${offset}`)]),
        ),
      );
      expect(await textsOf(1)).toEqual(['at 40']);
    });

    test('keys of any length and alphabet, many in one call, each with its own bytes', async () => {
      await serve(1);
      const keys = ['', 'a b', '"}:*?[x]', 'ä€\u{1f600}', 'x'.repeat(5_000), `${'x'.repeat(5_000)}y`, -1, true];
      const numbers = Array.from({ length: 450 }, (_, at) => at + 1_000);
      const all = [...keys, ...numbers];
      const outcomes = await store.write(
        view,
        writerOf(1),
        all.map((key, at) => whole(key, 1, `number ${at}`)),
      );
      expect(new Set(outcomes)).toEqual(new Set(['written']));
      const { entries } = await other.read(view, all);
      expect(entries.map((entry) => Buffer.concat(entry?.chunks ?? []).toString())).toEqual(
        all.map((_, at) => `number ${at}`),
      );
    });
  });
}
