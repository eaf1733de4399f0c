/** How far a replay is. */
export interface ReplayProgress {
  /** Records folded since this run began. */
  readonly records: number;
  /** Event time reached, ms; null before anything is known. */
  readonly eventTime: number | null;
  /** Records a second since this run began. */
  readonly rate: number;
  /** Offsets up to where the running generation stands. */
  readonly behind: number;
  /** ms that this takes at the present rate; null while nobody can say. */
  readonly leftMs: number | null;
}

/** Outputs of a replayed generation beside those of the running one. */
export interface ReplayComparison {
  readonly topic: string;
  /** Where the replay wrote them. */
  readonly replayed: string;
  readonly equal: number;
  readonly different: number;
  readonly onlyReplayed: number;
  readonly onlyRunning: number;
  /** Some of those that differ. */
  readonly samples: readonly ReplayDifference[];
}

export interface ReplayDifference {
  /** What was told: the window, or the request. */
  readonly subject: string;
  /** null where it was not told. */
  readonly replayed: string | null;
  readonly running: string | null;
}

/** What a replay did. */
export interface ReplayReport {
  readonly topology: string;
  readonly generation: { readonly running: number; readonly replayed: number };
  readonly progress: ReplayProgress;
  readonly comparisons: readonly ReplayComparison[];
  /** `replayed`: waits for a switch; `switched`: it is the running generation; `dropped`: nothing is left of it. */
  readonly state: 'replayed' | 'switched' | 'dropped';
}
