import { TidemillError } from '../../contracts/errors.js';
import type { Freshness, OnlineFeatures } from '../../contracts/onlineFeatures.js';
import type { CompiledFeature, CompiledView } from '../../features/compiledView.js';
import { createStateReader, type StateReader } from '../../features/operator/stateReader.js';
import { STATUSES, type Status, type Value } from '../../features/types.js';
import type { OnlineMark, OnlineStore, ViewIdentity } from './onlineStore.js';

/** A writer confirms its part about once a second: what was not for so long is stale, and what is so far behind its stream. */
const STALE_AFTER_MS = 15_000;

/** Reads features of one view from the online store. */
export class FeatureReader {
  private readonly identity: ViewIdentity;
  private readonly reader: StateReader;
  private readonly vector: Float64Array;
  private readonly statuses: Uint8Array;

  constructor(
    private readonly options: {
      readonly project: string;
      readonly view: CompiledView;
      readonly store: OnlineStore;
      /** @default 15000 */
      readonly staleAfterMs?: number;
      /** Wall clock. @default Date.now */
      readonly nowMs?: () => number;
    },
  ) {
    const { project, view } = options;
    this.identity = { project, name: view.name, hash: view.hash };
    this.reader = createStateReader(view);
    this.vector = new Float64Array(view.features.length);
    this.statuses = new Uint8Array(view.features.length);
  }

  /**
   * Features of keys as of a time, in the order of `keys`: events up to it are seen, it included.
   *
   * @param at event time, ms UTC.
   * @throws TidemillError ONLINE_UNAVAILABLE, STATE_CORRUPT; ONLINE_POSITION_FORGOTTEN where `at` is before the watermark.
   */
  async read(keys: readonly Value[], at: number): Promise<OnlineFeatures[]> {
    const { store, view } = this.options;
    const { generation, entries, marks } = await store.read(this.identity, keys);
    return entries.map((entry, index) => {
      // Where nothing is stored of a key nobody knows its partition: the least of all holds for it.
      const mark = entry === null ? leastOf(marks) : (marks.get(entry.partition) ?? null);
      if (mark !== null && mark.watermark !== null && at < mark.watermark) throw forgotten(view, at, mark.watermark);
      const ageMs = this.reader.valuesAt(entry?.chunks ?? [], at, this.vector, 0, this.statuses);
      return {
        view: view.name,
        hash: view.hash,
        key: keys[index] as Value,
        at,
        generation,
        freshness: this.freshnessOf(mark),
        confirmedAt: mark?.confirmedAt ?? null,
        completeAt: mark === null ? null : completeAt(mark),
        newest: mark?.newest ?? null,
        ageMs,
        features: view.features.map(({ name }: CompiledFeature, feature) => {
          const value = this.vector[feature] as number;
          const status = STATUSES[this.statuses[feature] as number] as Status;
          return { name, value: Number.isNaN(value) ? null : value, status };
        }),
      };
    });
  }

  private freshnessOf(mark: OnlineMark | null): Freshness {
    if (mark === null) return 'missing';
    const { nowMs = Date.now, staleAfterMs = STALE_AFTER_MS } = this.options;
    // A writer that is behind confirms what it has all the same.
    const upTo = Math.min(mark.confirmedAt, completeAt(mark) ?? Number.NEGATIVE_INFINITY);
    return nowMs() - upTo > staleAfterMs ? 'stale' : 'fresh';
  }
}

function completeAt(mark: OnlineMark): number | null {
  return mark.completeAt === undefined ? mark.confirmedAt : mark.completeAt;
}

/** Per property what is true of every partition; null where there is no mark. */
function leastOf(marks: ReadonlyMap<number, OnlineMark>): OnlineMark | null {
  const all = [...marks.values()];
  const [first] = all;
  if (first === undefined) return null;
  const known = (values: readonly (number | null)[]): number[] => values.filter((value) => value !== null);
  const newest = known(all.map((mark) => mark.newest));
  const complete = all.map(completeAt);
  const watermarks = known(all.map((mark) => mark.watermark));
  return {
    offset: Math.min(...all.map(({ offset }) => offset)),
    corrections: Math.min(...all.map(({ corrections }) => corrections)),
    watermark: watermarks.length === 0 ? null : Math.max(...watermarks),
    newest: newest.length === 0 ? null : Math.min(...newest),
    confirmedAt: Math.min(...all.map(({ confirmedAt }) => confirmedAt)),
    completeAt: complete.includes(null) ? null : Math.min(...known(complete)),
  };
}

function forgotten(view: CompiledView, at: number, watermark: number): TidemillError {
  return new TidemillError(
    'ONLINE_POSITION_FORGOTTEN',
    `${view.name}: ${new Date(at).toISOString()} lies before ${new Date(watermark).toISOString()}, up to which events may be forgotten`,
    { view: view.name, at, watermark },
  );
}
