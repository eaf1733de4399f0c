import {
  ServiceError,
  WorkflowFailedError,
  WorkflowUpdateFailedError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { ApplicationFailure, WorkflowNotFoundError } from '@temporalio/common';
import { ERROR_CODES, type ErrorCode } from '../contracts/errorCodes.js';
import { isTidemillError, messageOf, TidemillError, type ErrorDetails } from '../contracts/errors.js';
import { reached } from './reached.js';

/** gRPC's FAILED_PRECONDITION: how the server answers a query of a workflow whose queue nobody serves. */
const NO_POLLER = 9;

/**
 * Does something with a workflow; what went wrong in it comes out under its code.
 *
 * @throws TidemillError of the workflow, its update or the activity that failed; TEMPORAL_UNAVAILABLE, WORKER_SILENT,
 *   WORKFLOW_NOT_FOUND, WORKFLOW_FAILED.
 */
export async function coded<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const found = codedError(error);
    if (found !== null) throw found;
    return reached(() => Promise.reject(error as Error));
  }
}

function codedError(error: unknown): TidemillError | null {
  if (isTidemillError(error)) return error;
  if (error instanceof WorkflowNotFoundError)
    return new TidemillError('WORKFLOW_NOT_FOUND', `there is no workflow ${error.workflowId}`, {}, { cause: error });
  if (error instanceof WorkflowUpdateRPCTimeoutOrCancelledError)
    return new TidemillError('WORKER_SILENT', 'no lifecycle worker answered in time', {}, { cause: error });
  if (error instanceof ServiceError && (error.cause as { readonly code?: unknown } | undefined)?.code === NO_POLLER)
    return new TidemillError('WORKER_SILENT', messageOf(error.cause), {}, { cause: error });
  if (!(error instanceof WorkflowFailedError || error instanceof WorkflowUpdateFailedError)) return null;
  const cause = sayingFailure(error.cause ?? error);
  if (cause instanceof ApplicationFailure && isErrorCode(cause.type)) return fromFailure(cause, cause.type);
  return new TidemillError('WORKFLOW_FAILED', messageOf(cause), {}, { cause: error });
}

/**
 * The failure that says what went wrong: the first that was thrown as such. Those around it name the activity and the
 * workflow; what it carries inside is how it came about.
 */
export function sayingFailure(failure: Error): Error {
  let at = failure;
  while (!(at instanceof ApplicationFailure) && at.cause instanceof Error) at = at.cause;
  return at;
}

/** The error as it was thrown, where the failure carries it; activities send their own, workflows only its message. */
function fromFailure(failure: ApplicationFailure, code: ErrorCode): TidemillError {
  const [carried] = (failure.details ?? []) as readonly {
    readonly message?: unknown;
    readonly details?: ErrorDetails;
  }[];
  const message =
    typeof carried?.message === 'string' ? carried.message : failure.message.replace(new RegExp(`^${code}: `), '');
  return new TidemillError(code, message, carried?.details ?? {}, { cause: failure });
}

export function isErrorCode(text: unknown): text is ErrorCode {
  return typeof text === 'string' && Object.hasOwn(ERROR_CODES, text);
}
