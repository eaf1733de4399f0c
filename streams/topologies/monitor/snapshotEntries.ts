/** Entries of a part of a task's state as the runtime stores them: keys begin with the part's letter. */
export function* snapshotEntries(
  letter: string,
  entries: Iterable<readonly [key: string, value: string | Uint8Array | null]>,
): Iterable<{ readonly key: Uint8Array; readonly value: Uint8Array | null }> {
  for (const [key, value] of entries)
    yield { key: Buffer.from(letter + key, 'utf8'), value: typeof value === 'string' ? Buffer.from(value) : value };
}
