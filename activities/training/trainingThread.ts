import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { ERROR_CODES, type ErrorCode } from '../../contracts/errorCodes.js';
import { TidemillError, type ErrorDetails } from '../../contracts/errors.js';

/** What a training thread says. `note` is anything in between; one of the others is the last. */
export type ThreadMessage<Note, Result> =
  | { readonly kind: 'note'; readonly note: Note }
  | { readonly kind: 'done'; readonly result: Result }
  | { readonly kind: 'cancelled' }
  | {
      readonly kind: 'failed';
      readonly code: string | null;
      readonly message: string;
      readonly details: ErrorDetails;
    };

/** How long a cancelled thread may take to end by itself. */
const CANCEL_GRACE_MS = 2_000;

/**
 * Runs a training in a thread of its own, so that heartbeats go on.
 *
 * @param file name of the thread's compiled file in this folder.
 * @param jobOf what the thread is given; `cancel[0]` becomes 1 when it should end.
 * @throws TidemillError TRAINING_FAILED, TRAINING_CANCELLED, or the thread's own.
 */
export async function runTrainingThread<Note, Result>(
  file: string,
  jobOf: (cancel: Int32Array) => object,
  options: { readonly signal?: AbortSignal; readonly onNote?: (note: Note) => void } = {},
): Promise<Result> {
  const { signal, onNote } = options;
  const cancel = new Int32Array(new SharedArrayBuffer(4));
  const worker = new Worker(pathOf(file), { workerData: jobOf(cancel) });
  let timer: NodeJS.Timeout | null = null;
  const onAbort = (): void => {
    Atomics.store(cancel, 0, 1);
    timer = setTimeout(() => void worker.terminate(), CANCEL_GRACE_MS);
  };
  if (signal?.aborted === true) onAbort();
  signal?.addEventListener('abort', onAbort);
  const cancelled = (): TidemillError => new TidemillError('TRAINING_CANCELLED', 'the training was cancelled');
  try {
    return await new Promise<Result>((resolve, reject) => {
      worker.on('message', (message: ThreadMessage<Note, Result>) => {
        switch (message.kind) {
          case 'note':
            onNote?.(message.note);
            break;
          case 'done':
            resolve(message.result);
            break;
          case 'cancelled':
            reject(cancelled());
            break;
          case 'failed':
            reject(failureOf(message));
            break;
        }
      });
      worker.once('error', reject);
      worker.once('exit', (code) => {
        if (signal?.aborted === true) reject(cancelled());
        else reject(new TidemillError('TRAINING_FAILED', `the training thread ended with ${code}`, { code }));
      });
    });
  } finally {
    signal?.removeEventListener('abort', onAbort);
    if (timer !== null) clearTimeout(timer);
    await worker.terminate();
  }
}

/** Errors lose their class on the way between threads; the code names it. */
function failureOf({
  code,
  message,
  details,
}: Extract<ThreadMessage<never, never>, { kind: 'failed' }>): TidemillError {
  return code !== null && code in ERROR_CODES
    ? new TidemillError(code as ErrorCode, message, details)
    : new TidemillError('TRAINING_FAILED', message, { code });
}

/** The compiled thread; when this file runs uncompiled, as in tests, it is the one of the build. */
function pathOf(file: string): string {
  const here = fileURLToPath(new URL(`./${file}`, import.meta.url));
  return import.meta.url.endsWith('.ts')
    ? here.replace(/activities([\\/])training/, 'dist$1activities$1training')
    : here;
}
