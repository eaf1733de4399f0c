/** A time that may lie before or after all time, as it is stored and announced: null for none that is known. */
export function finiteOrNull(time: number | null): number | null {
  return time !== null && Number.isFinite(time) ? time : null;
}
