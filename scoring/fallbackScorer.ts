import type { DeploymentRecord } from '../contracts/records.js';
import type { CompiledModel } from '../models/definition.js';
import { compileAssembly, type Asked } from './assembleRows.js';
import type { Scorer } from './scorer.js';

const NOBODY: Asked = { deployment: null, champion: null, challenger: null, standIn: null };

/** Scores by the model's fallback rules alone: what a worker does before the first version is deployed. */
export function createFallbackScorer(model: CompiledModel): Scorer {
  const assemble = compileAssembly(model);
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
    score: (_vectors, _rows, requests, units) => Promise.resolve(assemble(NOBODY, requests, units)),
    serviceOf: () => null,
    close: () => Promise.resolve(),
  };
}
