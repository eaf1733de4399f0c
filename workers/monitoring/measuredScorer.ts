import type { ScoredRow, Scorer } from '../../scoring/scorer.js';

/** Rows that a version has served in a role. */
interface RowCount {
  readonly version: number;
  readonly role: string;
  rows: number;
}

/** How many rows each version has served. */
export interface ScoredRows {
  add(rows: readonly ScoredRow[]): void;
  counts(): Iterable<Readonly<RowCount>>;
}

export function scoredRows(): ScoredRows {
  const counts = new Map<string, RowCount>();
  return {
    add: (rows) => {
      // Rows of one batch are mostly of one version: the count is looked up where it changes.
      let last: RowCount | null = null;
      for (const { version, role } of rows) {
        if (last === null || last.version !== version || last.role !== role) {
          const name: string = `${version}/${role}`;
          last = counts.get(name) ?? { version, role, rows: 0 };
          counts.set(name, last);
        }
        last.rows++;
      }
    },
    counts: () => counts.values(),
  };
}

/** A scorer that counts what it serves and tells how long each micro-batch took, in seconds. */
export function measuredScorer(scorer: Scorer, counts: ScoredRows, onBatch: (seconds: number) => void): Scorer {
  return {
    get deployment() {
      return scorer.deployment;
    },
    get readyEpoch() {
      return scorer.readyEpoch;
    },
    get activeEpoch() {
      return scorer.activeEpoch;
    },
    get breaker() {
      return scorer.breaker;
    },
    get problem() {
      return scorer.problem;
    },
    prepare: (next) => scorer.prepare(next),
    activate: (next) => scorer.activate(next),
    serviceOf: (version) => scorer.serviceOf(version),
    score: async (vectors, rows, requests, units, given) => {
      const startedAt = performance.now();
      const scored = await scorer.score(vectors, rows, requests, units, given);
      onBatch((performance.now() - startedAt) / 1_000);
      counts.add(scored);
      return scored;
    },
    close: () => scorer.close(),
  };
}
