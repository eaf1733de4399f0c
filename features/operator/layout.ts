import { scaleOf } from '../arithmetic.js';
import type { CompiledAggregation, CompiledView } from '../compiledView.js';
import { compileExpression, type CompiledExpression } from '../evaluate.js';
import { canonicalJson } from '../hash.js';
import type { Value } from '../types.js';
import { powerOfTen } from '../vector.js';

/**
 * What a view needs to keep and to run, worked out once:
 *
 * - a **track** is one number per event: the input of an aggregation, NaN where the event does not count for it (null
 *   input, or `where` not true). Aggregations with the same input and condition share a track.
 * - a **window** is a (length, delay) pair with one pair of cursors per key.
 * - a **cell** is a running (count, sum) of one track in one window.
 *
 * @example count() and mean(amount) over 1 d and 7 d: 2 tracks (1, amount), 2 windows, 4 cells.
 */
export interface Layout {
  readonly tracks: readonly Track[];
  readonly windows: readonly Window[];
  readonly cells: readonly Cell[];
  /** Per aggregation of the view: the cell it reads and how. */
  readonly readers: readonly Reader[];
  /** Numbers of one event: time, partition, offset, then one per track. */
  readonly stride: number;
  /** Does any cell sum doubles? */
  readonly hasDoubles: boolean;
  /** The first bytes of the view's hash, which its encoded states carry. */
  readonly hashBytes: Buffer;
}

/** Bytes of the hash in an encoded state. */
export const HASH_BYTES = 8;
/** Places in the numbers of an event; those of the tracks follow. */
export const TIME = 0;
export const PARTITION = 1;
export const OFFSET = 2;
export const TRACKS = 3;

export interface Track {
  /** The number of an event for this track; NaN where it does not count. */
  read(values: readonly Value[]): number;
  /** Sums of doubles never subtract; exact numbers may. */
  readonly isDouble: boolean;
  /** Divides an exact sum into a mean: 10^scale. */
  readonly unit: number;
}

export interface Window {
  readonly lengthMs: number;
  readonly delayMs: number;
  /** Indices of this window's cells. */
  readonly cells: readonly number[];
}

export interface Cell {
  readonly window: number;
  readonly track: number;
  readonly isDouble: boolean;
}

export interface Reader {
  readonly cell: number;
  readonly aggregate: CompiledAggregation['aggregate'];
  readonly unit: number;
}

export function layoutOf(view: CompiledView): Layout {
  const tracks: Track[] = [];
  const windows: { lengthMs: number; delayMs: number; cells: number[] }[] = [];
  const cells: Cell[] = [];
  const trackOf = indexBy<Track>(tracks);
  const windowOf = indexBy<(typeof windows)[number]>(windows);
  const cellOf = indexBy<Cell>(cells);

  const readers = view.aggregations.map((aggregation): Reader => {
    const { input, where, window } = aggregation;
    // count(field) counts non-null values: the values themselves do not matter.
    const counted = aggregation.aggregate === 'count';
    const track = trackOf(canonicalJson([counted, input, where]), () => makeTrack(view, aggregation));
    const windowIndex = windowOf(`${window.lengthMs}/${window.delayMs}`, () => ({
      lengthMs: window.lengthMs,
      delayMs: window.delayMs,
      cells: [],
    }));
    const { isDouble, unit } = tracks[track] as Track;
    const cell = cellOf(`${windowIndex}/${track}`, () => {
      (windows[windowIndex] as (typeof windows)[number]).cells.push(cells.length);
      return { window: windowIndex, track, isDouble };
    });
    return { cell, aggregate: aggregation.aggregate, unit };
  });
  return {
    tracks,
    windows,
    cells,
    readers,
    stride: TRACKS + tracks.length,
    hasDoubles: cells.some(({ isDouble }) => isDouble),
    hashBytes: Buffer.from(view.hash.slice(0, HASH_BYTES * 2), 'hex'),
  };
}

/** Adds to `list` what is new under a key and gives its index. */
function indexBy<T>(list: T[]): (key: string, make: () => T) => number {
  const known = new Map<string, number>();
  return (key, make) => {
    let index = known.get(key);
    if (index === undefined) {
      index = list.push(make()) - 1;
      known.set(key, index);
    }
    return index;
  };
}

function makeTrack(view: CompiledView, { aggregate, input, where }: CompiledAggregation): Track {
  const counted = aggregate === 'count';
  const condition = where === null ? null : compileExpression(where, view.stream.fields);
  const value = input === null ? null : compileExpression(input, view.stream.fields);
  return {
    isDouble: !counted && input !== null && input.type.kind === 'double',
    unit: input === null ? 1 : powerOfTen(scaleOf(input.type)),
    read: reader(condition, value, counted),
  };
}

function reader(
  condition: CompiledExpression | null,
  value: CompiledExpression | null,
  counted: boolean,
): (values: readonly Value[]) => number {
  return (values) => {
    if (condition !== null && condition(values) !== true) return Number.NaN;
    if (value === null) return 1;
    const result = value(values);
    if (result === null) return Number.NaN;
    return counted ? 1 : Number(result);
  };
}
