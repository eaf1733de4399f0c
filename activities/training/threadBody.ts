import { parentPort, workerData } from 'node:worker_threads';
import { isTidemillError, messageOf } from '../../contracts/errors.js';
import type { ThreadMessage } from './trainingThread.js';

/** Thrown by a training that sees that it should end. */
export class TrainingCancelled extends Error {}

/** Has the thread been told to end? */
export function isCancelled(cancel: Int32Array): boolean {
  return Atomics.load(cancel, 0) === 1;
}

/**
 * The body of a training thread: trains what `workerData` says and tells how that ended. Does nothing outside a thread.
 */
export function serveTraining<Job, Note, Result>(train: (job: Job, tell: (note: Note) => void) => Result): void {
  const port = parentPort;
  if (port === null) return;
  const post = (message: ThreadMessage<Note, Result>): void => port.postMessage(message);
  try {
    post({ kind: 'done', result: train(workerData as Job, (note) => post({ kind: 'note', note })) });
  } catch (error) {
    if (error instanceof TrainingCancelled) post({ kind: 'cancelled' });
    else {
      const [code, details] = isTidemillError(error) ? [error.code, error.details] : [null, {}];
      post({ kind: 'failed', code, message: messageOf(error), details });
    }
  }
}
