import type { CompiledView } from '../compiledView.js';
import { createViewOperator } from './createViewOperator.js';

/**
 * Values of one view from stored state: the operator that the stream runs, over bytes that it encoded. Windows shrink as time
 * passes, so values are computed for the moment that is asked for, not for the last event.
 */
export interface StateReader {
  readonly view: CompiledView;
  /**
   * Writes the features as a vector to `out[start..]` and their statuses, as indices into STATUSES, to `statuses[start..]`;
   * gives the age in ms of the latest event at or before `time` and within `keep`, or null.
   *
   * @param chunks what is stored of the key, in order; none where nothing is stored.
   * @throws TidemillError STATE_CORRUPT
   */
  valuesAt(
    chunks: readonly Uint8Array[],
    time: number,
    out: Float64Array,
    start: number,
    statuses: Uint8Array,
  ): number | null;
}

/** Not for concurrent use: one key's state is held at a time. */
export function createStateReader(view: CompiledView): StateReader {
  const operator = createViewOperator(view);
  // Whose state it is does not matter to its values.
  const key = '';
  return {
    view,
    valuesAt: (chunks, time, out, start, statuses) => {
      operator.decodeKey(key, ...chunks);
      operator.valuesAt(key, time, null, false, out, start, statuses);
      return operator.ageAt(key, time, null, false);
    },
  };
}
