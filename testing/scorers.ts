import type { DeploymentRecord } from '../contracts/records.js';
import { formatEvent } from '../features/eventContract.js';
import type { CompiledModel } from '../models/definition.js';
import { compileAssembly } from '../scoring/assembleRows.js';
import { createScoringEngine } from '../scoring/engine.js';
import { createFallbackScorer } from '../scoring/fallbackScorer.js';
import type { Scorer } from '../scoring/scorer.js';

/** A model's vector by the names of its columns; null where a feature is null. */
export type Features = Readonly<Record<string, number | null>>;

/**
 * Stands in for a trained model: the score, 0 to 1, of a request.
 *
 * @param request the request's fields, as they were sent.
 */
export type ScoreFunction = (features: Features, request: Readonly<Record<string, unknown>>) => number;

/** Real versions of a model: ONNX files by version number, from 1. Which of them serves is said by `deploy`. */
export interface ModelVersions {
  readonly versions: Readonly<Record<number, Uint8Array>>;
}

/** Who answers for a model: a function, real versions, or, left out, its fallback rules. */
export type Answering = ScoreFunction | ModelVersions;

/** A part of a deployment; what is left out is not there. */
export type Deploying = Partial<Omit<DeploymentRecord, 'model' | 'epoch'>> & { readonly champion: number | null };

/** The deployment of an epoch. */
export function deploymentOf(model: CompiledModel, epoch: number, given: Deploying): DeploymentRecord {
  const mode = given.challenger === undefined || given.challenger === null ? 'single' : 'shadow';
  const defaults = { challenger: null, mode, share: 0, salt: `${model.name}/${epoch}`, prepare: null } as const;
  return { ...defaults, ...given, model: model.name, epoch };
}

export function scorerFor(model: CompiledModel, answering: Answering | undefined): Scorer {
  if (answering === undefined) return createFallbackScorer(model);
  if (typeof answering === 'function') return functionScorer(model, answering);
  return createScoringEngine(model, (version) => {
    const file = answering.versions[version];
    return file === undefined
      ? Promise.reject(new Error(`the test gave no version ${version} of ${model.name}`))
      : Promise.resolve(file);
  });
}

/** Version 1 is the function; epoch 1 deploys it. */
function functionScorer(model: CompiledModel, answer: ScoreFunction): Scorer {
  const assemble = compileAssembly(model);
  const deployment = deploymentOf(model, 1, { champion: 1 });
  const { columns } = model.service;
  return {
    ...createFallbackScorer(model),
    deployment,
    readyEpoch: 1,
    activeEpoch: 1,
    score: async (vectors, rows, requests, units) => {
      const scores = new Float64Array(rows);
      for (let row = 0; row < rows; row++) {
        const request = JSON.parse(formatEvent(model.request, { values: requests[row] ?? [] })) as Record<
          string,
          unknown
        >;
        const vector = vectors.subarray(row * columns.length, (row + 1) * columns.length);
        scores[row] = answer(featuresOf(model, vector), request);
      }
      const champion = { version: 1, scores, micros: 0, problem: null };
      return assemble({ deployment, champion, challenger: null, standIn: null }, requests, units);
    },
  };
}

/** A vector by the names of the model's columns. */
export function featuresOf({ service }: CompiledModel, vector: ArrayLike<number | null>): Features {
  return Object.fromEntries(
    service.columns.map(({ name }, at) => {
      const value = vector[at] ?? null;
      return [name, value === null || Number.isNaN(value) ? null : value];
    }),
  );
}
