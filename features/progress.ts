/** How far somebody is whom others wait for. */
export interface Standing {
  readonly isIdle: boolean;
}

/**
 * Up to where everything is there: the least of those that are not idle; where all are, the greatest.
 *
 *   10:07   10:03   09:12 (idle)   -> 10:03
 */
export function leastActive<Each extends Standing>(all: readonly Each[], of: (each: Each) => number): number {
  const active = all.filter(({ isIdle }) => !isIdle);
  return active.length === 0 ? Math.max(...all.map(of)) : Math.min(...active.map(of));
}
