import { ApplicationFailure } from '@temporalio/common';
import { isTidemillError, type TidemillError } from '../contracts/errors.js';
import type { ErrorCode } from '../contracts/errorCodes.js';

/** What a later attempt may find healed. */
const TRANSIENT: ReadonlySet<ErrorCode> = new Set([
  'LOG_UNAVAILABLE',
  'REGISTRY_BUSY',
  'REGISTRY_UNAVAILABLE',
  'TEMPORAL_UNAVAILABLE',
  'ARCHIVE_BEHIND',
  'TRAINING_CANCELLED',
  'ONLINE_UNAVAILABLE',
  'ONLINE_INCOMPLETE',
  'CORRECTIONS_WAITING',
  'PRODUCER_UNUSABLE',
  'PRODUCER_FENCED',
]);

/** Wraps activities so that coded errors reach workflows, and the command line, as typed failures. */
export function withFailures<T extends Record<string, (...args: never[]) => Promise<unknown>>>(activities: T): T {
  const wrapped: Record<string, unknown> = {};
  for (const [name, activity] of Object.entries(activities)) {
    wrapped[name] = async (...args: never[]): Promise<unknown> => {
      try {
        return await activity(...args);
      } catch (error) {
        throw isTidemillError(error) ? toFailure(error) : error;
      }
    };
  }
  return wrapped as T;
}

/** The essentials stand in the message: that is all that the command line shows as text. */
function toFailure(error: TidemillError): ApplicationFailure {
  return ApplicationFailure.create({
    type: error.code,
    message: `${error.code}: ${error.message}. ${error.action}`,
    nonRetryable: !TRANSIENT.has(error.code),
    details: [error.toJSON()],
    cause: error,
  });
}
