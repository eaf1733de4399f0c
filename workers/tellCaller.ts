import { codedError } from '../contracts/codedError.js';
import { isTidemillError, messageOf } from '../contracts/errors.js';

/**
 * Tells the command line that started this process why it ends, so that it can say so in the form that was asked for. False
 * where nobody listens: what runs workers in containers reads their logs.
 */
export async function tellCaller(thrown: unknown): Promise<boolean> {
  if (process.send === undefined || !process.connected) return false;
  const error = codedError(thrown);
  const said = isTidemillError(error) ? error.toJSON() : { code: 'INTERNAL', message: messageOf(error) };
  // Sent before this process ends, or never: a caller that has gone needs nothing.
  return new Promise((told) => process.send?.({ error: said }, (failed: Error | null) => told(failed === null)));
}
