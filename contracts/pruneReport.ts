/** What `tidemill prune` did, or would do, about the stored objects. */
export interface PruneReport {
  /** False where it only says what it would do. */
  readonly applied: boolean;
  /** Marked: nobody needs them. Whoever reads one all the same brings it back; after the grace time they are deleted. */
  readonly setAside: readonly PrunedObject[];
  /** Set aside by an earlier run, needed again. */
  readonly broughtBack: readonly PrunedObject[];
  /** Set aside by an earlier run, and not needed for the whole grace time. */
  readonly deleted: readonly PrunedObject[];
  readonly kept: readonly PrunedObject[];
}

export interface PrunedObject {
  readonly uri: string;
  readonly bytes: number;
  readonly why: string;
}
