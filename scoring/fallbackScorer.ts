import type { DeploymentRecord } from '../contracts/records.js';
import { compileDecision, compileFallback } from '../models/decide.js';
import type { CompiledModel } from '../models/definition.js';
import type { Value } from '../features/types.js';
import type { ScoredBatch, Scorer } from './scorer.js';

/** Scores by the model's fallback rules alone: what a worker does before the first version is deployed. */
export function createFallbackScorer(model: CompiledModel): Scorer {
  const decide = compileDecision(model);
  const fallback = compileFallback(model);
  return {
    deployment: null,
    readyEpoch: 0,
    activeEpoch: 0,
    breaker: 'closed',
    problem: null,
    prepare: (next: DeploymentRecord) =>
      Promise.reject(
        new Error(`invariant broken: deployment ${next.epoch} of ${next.model} given to a scorer without versions`),
      ),
    activate: () => undefined,
    score: (_vectors, rows, requests) => {
      const scores = new Float64Array(rows);
      const decisions: string[] = [];
      for (let row = 0; row < rows; row++) {
        const request = requests[row] as readonly Value[];
        const score = fallback(request);
        scores[row] = score;
        decisions.push(decide(request, score));
      }
      return Promise.resolve<ScoredBatch>({ scores, version: 0, role: 'fallback', epoch: 0, decisions });
    },
    close: () => Promise.resolve(),
  };
}
