import { messageOf, TidemillError } from '../contracts/errors.js';

/**
 * Does something with the Temporal server.
 *
 * @throws TidemillError TEMPORAL_UNAVAILABLE where nobody answers; anything else as it is.
 */
export async function reached<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act();
  } catch (error) {
    const text = messageOf(error);
    const code =
      (error as { code?: unknown; cause?: { code?: unknown } }).cause?.code ?? (error as { code?: unknown }).code;
    // gRPC 14: unavailable; 4: deadline exceeded.
    if (code === 14 || code === 4 || /ECONNREFUSED|UNAVAILABLE|Failed to connect|timed? ?out/i.test(text)) {
      throw new TidemillError('TEMPORAL_UNAVAILABLE', text, {}, { cause: error });
    }
    throw error;
  }
}
