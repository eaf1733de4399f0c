import type { CompiledField, CompiledStream } from '../../../features/compiledView.js';
import { hashOf } from '../../../features/hash.js';

/** Columns of files of records that are no events of a user's stream. */
export function plainStream(name: string, fields: readonly CompiledField[]): CompiledStream {
  const definition: Omit<CompiledStream, 'hash'> = {
    kind: 'stream',
    name,
    fields,
    eventId: 0,
    eventTime: 0,
    topicKey: 0,
    allowedLatenessMs: 0,
    maxFutureMs: 0,
    personal: [],
    labels: null,
  };
  return { ...definition, hash: hashOf(definition) };
}
