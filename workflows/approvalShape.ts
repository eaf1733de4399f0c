import type { Holder } from '../contracts/workflows.js';
import { plainFailure } from './plainFailure.js';

/**
 * Refuses an answer before it is accepted, so that a mistake leaves no trace in the history: is it an answer at all, and
 * is there a rollout that could wait for it? The rest takes the registry, and is an activity's to check.
 */
export function refuseAnswer(model: string, holder: Holder | null, given: unknown): void {
  const { token, by, version, evidence, reason } = (typeof given === 'object' && given !== null ? given : {}) as Record<
    string,
    unknown
  >;
  const isSigned = typeof token === 'string' && token !== '';
  const isNamed = typeof by === 'string' && by !== '' && Number.isInteger(version) && typeof evidence === 'string';
  if ((!isSigned && !isNamed) || (reason !== undefined && typeof reason !== 'string')) {
    throw plainFailure(
      'INPUT_INVALID',
      'an answer is {"token":"…","reason":"…"}, or {"by":"…","version":1,"evidence":"…","reason":"…"} without an issuer',
    );
  }
  if (holder === null) throw plainFailure('APPROVAL_INVALID', `${model}: nothing waits for an approval`);
}
