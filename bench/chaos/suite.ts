/** What a suite is asked for. */
export interface SuiteOptions {
  readonly seed: number;
  /** Pattern of the faults to make; null for all, or the short form's. */
  readonly only: string | null;
  readonly short: boolean;
  /** Leave the folder with data and logs for a look. */
  readonly keep: boolean;
  /** Progress, for people. */
  readonly say: (text: string) => void;
}

/** What came of it, printed as it is but for `failed`. */
export interface SuiteResult {
  readonly seed: number;
  readonly faults: readonly object[];
  readonly failed: boolean;
}
