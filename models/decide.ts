import { compileExpression } from '../features/evaluate.js';
import type { CompiledField } from '../features/compiledView.js';
import type { Value } from '../features/types.js';
import type { CompiledModel } from './definition.js';

/** Decides about a request: the first rule whose condition is true. */
export type Decide = (request: readonly Value[], score: number) => string;

/** Compiles a model's decision rules once. */
export function compileDecision({ request, rules }: CompiledModel): Decide {
  const fields: CompiledField[] = [...request.fields, { name: 'score', type: { kind: 'double' }, nullable: false }];
  const compiled = rules.rules.map(({ when, decision }) => ({ decision, holds: compileExpression(when, fields) }));
  const values: Value[] = [];
  return (row, score) => {
    for (let at = 0; at < row.length; at++) values[at] = row[at] as Value;
    values[row.length] = score;
    for (const { holds, decision } of compiled) if (holds(values) === true) return decision;
    return rules.otherwise;
  };
}

/** Score without a model; a null counts as 0: no reason to suspect anything. */
export type FallbackScore = (request: readonly Value[]) => number;

export function compileFallback({ request, fallback }: CompiledModel): FallbackScore {
  const score = compileExpression(fallback.score, request.fields);
  return (row) => Number(score(row) ?? 0);
}
