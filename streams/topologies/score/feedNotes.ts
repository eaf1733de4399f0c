import type { Stage } from './scorePlan.js';

/**
 * What an operator should know of windows over the requests that were not fed from the beginning: the group began behind it, or
 * nothing read the view for a while. They fill, and are whole once what they lack is older than they reach.
 *
 * @param wholeSince event time from which on no request is left out; -Infinity where none ever was.
 * @param watermark of the requests: what is before it is answered.
 */
export function feedNotes({ views }: Stage, wholeSince: number, watermark: number): string[] {
  if (!Number.isFinite(wholeSince)) return [];
  return views.flatMap(({ view, own }) => {
    const wholeFrom = wholeSince + view.keepMs;
    if (!own || watermark >= wholeFrom) return [];
    const [since, until] = [wholeSince, wholeFrom].map((time) => new Date(time).toISOString());
    return [`${view.name} lacks requests of before ${since}: it is filling, and whole for requests from ${until} on`];
  });
}
