import { QueryNotRegisteredError, WorkflowFailedError, type Client } from '@temporalio/client';
import {
  ApplicationFailure,
  CancelledFailure,
  TerminatedFailure,
  TimeoutFailure,
  WorkflowNotFoundError,
} from '@temporalio/common';
import { messageOf, TidemillError } from '../contracts/errors.js';
import { QUERY_STATUS } from '../contracts/workflows.js';
import type { FollowChange, FollowedWorkflow } from './followWorkflow.js';
import { sayingFailure } from './codedErrors.js';
import { reached } from './reached.js';

/** How long a worker may take to answer what its workflow is doing. */
const QUERY_MS = 5_000;

/** A workflow of a Temporal server as it can be followed: its newest run. */
export function followedWorkflow(temporal: Client, workflowId: string): FollowedWorkflow {
  const handle = temporal.workflow.getHandle(workflowId);
  return {
    isRunning: async () => {
      try {
        const { status } = await reached(() => handle.describe());
        return status.name === 'RUNNING';
      } catch (error) {
        // The server refuses an empty id, which no workflow has.
        if (!(error instanceof WorkflowNotFoundError) && workflowId !== '') throw error;
        throw new TidemillError(
          'WORKFLOW_NOT_FOUND',
          `there is no workflow ${workflowId === '' ? 'without an id' : workflowId}`,
          { workflowId },
          { cause: error },
        );
      }
    },
    status: async () => {
      try {
        const status = await temporal.withDeadline(Date.now() + QUERY_MS, () => handle.query<unknown>(QUERY_STATUS));
        return { kind: 'answered', status };
      } catch (error) {
        // Any other failure is one of the moment: nobody serves the queue, or the worker is just starting.
        return error instanceof QueryNotRegisteredError ? { kind: 'answered', status: null } : { kind: 'silent' };
      }
    },
    end: () =>
      reached(() =>
        handle.result().then(
          (result: unknown) => ({ kind: 'result', result }) as const,
          (error: unknown) => {
            if (error instanceof WorkflowFailedError) return failureOf(error);
            throw error;
          },
        ),
      ),
  };
}

function failureOf(error: WorkflowFailedError): Extract<FollowChange, { kind: 'failed' }> {
  const cause = sayingFailure(error.cause ?? error);
  const failed = (status: string, code: string | null, message: string): ReturnType<typeof failureOf> => {
    return { kind: 'failed', status, code, message };
  };
  if (error.cause instanceof CancelledFailure) return failed('cancelled', null, messageOf(cause));
  if (error.cause instanceof TerminatedFailure) return failed('terminated', null, messageOf(cause));
  if (error.cause instanceof TimeoutFailure) return failed('timed out', null, messageOf(cause));
  return failed('failed', cause instanceof ApplicationFailure ? (cause.type ?? null) : null, messageOf(cause));
}
