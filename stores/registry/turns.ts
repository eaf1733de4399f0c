/**
 * Runs pieces of work with the same key one after another, in the order in which they were asked for; those with other
 * keys run beside them. A piece that fails does not keep the next one from running.
 */
export function createTurns(): <T>(key: string, work: () => Promise<T>) => Promise<T> {
  const lastOf = new Map<string, Promise<unknown>>();
  return async (key, work) => {
    const turn = (lastOf.get(key) ?? Promise.resolve()).then(work);
    const settled = turn.catch(() => undefined);
    lastOf.set(key, settled);
    try {
      return await turn;
    } finally {
      if (lastOf.get(key) === settled) lastOf.delete(key);
    }
  };
}
