import type { OnlineStore } from '../stores/online/onlineStore.js';

/** The store with points at which a test may kill the process: before and after entries are written, and after their mark. */
export function withFailPoints(store: OnlineStore, reach: (point: string) => void): OnlineStore {
  return {
    place: store.place,
    read: (view, keys) => store.read(view, keys),
    marks: (view, generation) => store.marks(view, generation),
    serving: (view) => store.serving(view),
    write: async (view, writer, writes, sequence) => {
      reach('before-store-write');
      const outcomes = await store.write(view, writer, writes, sequence);
      reach('after-store-write');
      return outcomes;
    },
    mark: async (view, writer, mark, after, acknowledged) => {
      const outcome = await store.mark(view, writer, mark, after, acknowledged);
      reach('after-store-mark');
      return outcome;
    },
    serve: (view, writer, partitions) => store.serve(view, writer, partitions),
    drop: (view, generation) => store.drop(view, generation),
    remove: (view) => store.remove(view),
    close: () => store.close(),
  };
}
