import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import { ERROR_CODES, type ErrorCode } from '../contracts/errorCodes.js';

/** A refusal of the workflow itself, worded as those of activities: code, explanation, and what to do. */
export function plainFailure(code: ErrorCode, message: string): ApplicationFailure {
  const { action } = ERROR_CODES[code];
  return ApplicationFailure.create({
    type: code,
    message: `${code}: ${message}. ${action}`,
    nonRetryable: true,
    details: [{ code, message, hint: action, details: {} }],
  });
}

/**
 * What an activity says, not that it failed: the first line of a failure is all that lists, the UI and the command line of
 * Temporal show without being asked. The activity stands in the history.
 */
export function saidPlainly(error: unknown): unknown {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure ? error.cause : error;
}

/** Fails as `saidPlainly`. A turn later than the activity: for workflows that do one thing at a time. */
export async function plainly<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    throw saidPlainly(error);
  }
}
