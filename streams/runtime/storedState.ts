/**
 * What the newest snapshot of a task holds, read by key: for state larger than memory. The snapshot stands still between two
 * calls of the task's `snapshotWritten`; what changed since it was taken is the task's to remember.
 */
export interface StoredState {
  get(key: Uint8Array): Uint8Array | undefined;
  /** Keys from `from` up to, but without, `to`, in the order of their bytes. */
  keys(from: Uint8Array, to: Uint8Array): Iterable<Uint8Array>;
}
