import type { CutRecord, SourcePosition } from '../../contracts/records.js';
import { streamTopic } from '../../contracts/topics.js';
import type { CompiledField, CompiledStream, CompiledView } from '../../features/compiledView.js';
import type { LoggedEvent } from '../../features/types.js';

/** The request's place in its topic. */
type Place = Pick<SourcePosition, 'partition' | 'offset'>;

/**
 * Had an event been folded when the vector of a request was computed?
 *
 *   of another stream               its offset is below the one folded of its partition
 *   of the requests, keyed alike    it came to the same partition, not after the request
 *   of the requests, keyed by f     the stage of f had folded it, from whichever partition
 *
 * @param cut null where nothing but requests of its own partition feeds the model.
 */
export function isWithinCut(
  project: string,
  request: CompiledStream,
  cut: CutRecord | null,
  at: Place,
  view: CompiledView,
  event: LoggedEvent,
): boolean {
  const { partition, offset } = event;
  if (view.stream.name !== request.name)
    return offset < (cut?.folded[streamTopic(project, view.stream.name)]?.[partition] ?? 0);
  const isOwn = partition === at.partition;
  if (view.key === request.topicKey) return isOwn && offset <= at.offset;
  const stage = (request.fields[view.key] as CompiledField).name;
  const range = cut?.requests?.[stage]?.[partition];
  // The request itself comes to the stage with its row.
  if (range === undefined) return isOwn && offset === at.offset;
  const [from, to, ...gaps] = range;
  if (gaps.some(([gapFrom, gapTo]) => offset >= gapFrom && offset < gapTo)) return false;
  return offset >= from && (to === null ? isOwn && offset <= at.offset : offset < to);
}
