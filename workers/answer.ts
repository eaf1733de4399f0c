import { codedError } from '../contracts/codedError.js';
import { isTidemillError, messageOf } from '../contracts/errors.js';

/**
 * Runs a program that answers one question for the command line: one JSON value on standard output, or an error as one
 * JSON object on standard error and the exit code of its code.
 */
export async function answer(main: () => Promise<unknown>): Promise<void> {
  try {
    process.stdout.write(`${JSON.stringify(await main())}\n`);
  } catch (thrown) {
    const error = codedError(thrown);
    const object = isTidemillError(error) ? error.toJSON() : { code: 'INTERNAL', message: messageOf(error) };
    process.stderr.write(`${JSON.stringify({ error: object })}\n`);
    process.exitCode = isTidemillError(error) ? error.description.exit : 1;
  }
}
