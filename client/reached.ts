import { messageOf, TidemillError } from '../contracts/errors.js';

/**
 * Does something with the Temporal server.
 *
 * @param where what is being reached, for the message: said where nothing else names it.
 *
 * @throws TidemillError TEMPORAL_UNAVAILABLE where nobody answers; anything else as it is.
 */
export async function reached<T>(act: () => Promise<T>, where?: string): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const text = messageOf(error);
    const code =
      (error as { code?: unknown; cause?: { code?: unknown } }).cause?.code ?? (error as { code?: unknown }).code;
    // gRPC 14: unavailable; 4: deadline exceeded.
    if (code === 14 || code === 4 || /ECONNREFUSED|UNAVAILABLE|Failed to connect|timed? ?out/i.test(text)) {
      const message = where === undefined ? text : `${where}: ${text}`;
      throw new TidemillError('TEMPORAL_UNAVAILABLE', message, {}, { cause: error });
    }
    throw error;
  }
}
