import type { DeploymentRecord, OtherScore } from '../contracts/records.js';
import type { Value } from '../features/types.js';
import { compileDecision, compileFallback } from '../models/decide.js';
import type { CompiledModel } from '../models/definition.js';
import type { Answer } from './loadedVersions.js';
import type { ScoredRow } from './scorer.js';
import { armOf } from './split.js';

/** What was asked for one batch. */
export interface Asked {
  readonly deployment: DeploymentRecord | null;
  /** Null where the deployment has none. */
  readonly champion: Answer | null;
  readonly challenger: Answer | null;
  /** The former champion that the deployment names: asked only where the champion leaves rows without a score. */
  readonly standIn: Answer | null;
}

/** Puts together who served which row, and what the others said. */
export type AssembleRows = (
  asked: Asked,
  requests: readonly (readonly Value[])[],
  units: readonly string[],
) => ScoredRow[];

/** Version 0 is the model's fallback rules. */
const RULES = 0;
const NOBODY: readonly OtherScore[] = [];

/**
 * Compiles the assembly for a model. Who serves a row is the first in its arm's order that has a score:
 *
 *   arm          order
 *   champion     champion (role champion), the stand-in (fallback), the rules (fallback, version 0)
 *   challenger   challenger (role challenger), then as above
 *
 * `others` are the versions of the deployment that did not serve the row, champion first, with their score or their
 * problem. In a canary without a champion its side is the rules, as version 0, so that the rows stay paired.
 */
export function compileAssembly(model: CompiledModel): AssembleRows {
  const decide = compileDecision(model);
  const rules = compileFallback(model);

  const rulesAnswer = (request: readonly Value[]): Answer => ({
    version: RULES,
    scores: Float64Array.of(rules(request)),
    micros: 0,
    problem: null,
  });

  const other = (role: OtherScore['role'], answer: Answer, row: number, request: readonly Value[]): OtherScore => {
    const { version, micros } = answer;
    const score = answer.scores[row] as number;
    return Number.isNaN(score)
      ? { version, role, score: null, decision: null, micros, problem: answer.problem }
      : { version, role, score, decision: decide(request, score), micros, problem: null };
  };

  const othersOf = (role: ScoredRow['role'], asked: Asked, row: number, request: readonly Value[]) => {
    const { champion, challenger } = asked;
    const others: OtherScore[] = [];
    if (role !== 'champion' && champion !== null) others.push(other('champion', champion, row, request));
    if (role === 'challenger' && champion === null) others.push(other('champion', rulesAnswer(request), 0, request));
    if (role !== 'challenger' && challenger !== null) others.push(other('challenger', challenger, row, request));
    return others;
  };

  return (asked, requests, units) => {
    const { deployment, champion, challenger, standIn } = asked;
    const epoch = deployment?.epoch ?? 0;
    return requests.map((request, row): ScoredRow => {
      const arm = deployment === null ? 'champion' : armOf(deployment, units[row] as string);
      const served = arm === 'challenger' && hasScore(challenger, row) ? challenger : champion;
      const [role, answer, at] = hasScore(served, row)
        ? ([served === challenger ? 'challenger' : 'champion', served, row] as const)
        : hasScore(standIn, row)
          ? (['fallback', standIn, row] as const)
          : (['fallback', rulesAnswer(request), 0] as const);
      const { version, micros } = answer;
      const score = answer.scores[at] as number;
      const others = role === 'champion' && challenger === null ? NOBODY : othersOf(role, asked, row, request);
      return { version, role, epoch, score, decision: decide(request, score), arm, micros, others };
    });
  };
}

function hasScore(answer: Answer | null, row: number): answer is Answer {
  return answer !== null && !Number.isNaN(answer.scores[row]);
}
