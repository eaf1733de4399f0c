import { isUtf8 } from 'node:buffer';
import type { CompiledStream, CompiledField } from '../../../features/compiledView.js';
import type { Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { plainStream } from './plainStream.js';

/** A header: its name, its value as text, and its bytes in base64 where that text is not the whole truth. */
type ArchivedHeader = readonly [name: string, text: string, bytes?: string];

const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf]);

const COLUMNS: readonly CompiledField[] = [
  { name: 'appended_at', type: { kind: 'timestamp' }, nullable: false },
  { name: 'key', type: { kind: 'string' }, nullable: true },
  { name: 'value', type: { kind: 'string' }, nullable: true },
  { name: 'headers', type: { kind: 'string' }, nullable: false },
  { name: 'key_bytes', type: { kind: 'string' }, nullable: true },
  { name: 'value_bytes', type: { kind: 'string' }, nullable: true },
];

/**
 * Columns of records that are archived as they are. Keys and values are texts, so that they can be asked for; of those that
 * are no UTF-8 the bytes are kept beside them, in base64:
 *
 *   value bytes    value      value_bytes
 *   7b 7d          {}         null
 *   00 ff 61       \0 ? a     AP9h          whatever a decoder makes of ff
 *
 * Files from before bytes were kept do not have the last two columns: they are null there.
 */
export function rawStream(topic: string): CompiledStream {
  return plainStream(topic.replaceAll('.', '-'), COLUMNS);
}

export function rawRow({ timestamp, key, value, headers }: LogRecord): readonly Value[] {
  const named = Object.entries(headers).map(([name, header]): ArchivedHeader => {
    const bytes = typeof header === 'string' ? Buffer.from(header) : (header ?? Buffer.alloc(0));
    return isText(bytes) ? [name, bytes.toString()] : [name, bytes.toString(), bytes.toString('base64')];
  });
  return [timestamp, textOf(key), textOf(value), JSON.stringify(named), bytesOf(key), bytesOf(value)];
}

/** What a row was made from, byte for byte; from files of before bytes were kept, as far as it was text. */
export function archivedRecord(row: readonly Value[]): Pick<LogRecord, 'timestamp' | 'key' | 'value'> & {
  readonly headers: Readonly<Record<string, Buffer>>;
} {
  const [timestamp, key = null, value = null, headers, keyBytes = null, valueBytes = null] = row;
  const named = (JSON.parse(headers as string) as readonly ArchivedHeader[]).map(
    ([name, text, bytes]) => [name, bufferOf(text, bytes ?? null) as Buffer] as const,
  );
  return {
    timestamp: timestamp as number,
    key: bufferOf(key, keyBytes),
    value: bufferOf(value, valueBytes),
    headers: Object.fromEntries(named),
  };
}

/** Are they the same bytes again, once they were read as text? Decoders drop a byte order mark. */
function isText(bytes: Buffer): boolean {
  return isUtf8(bytes) && !bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK);
}

function textOf(bytes: Buffer | null): string | null {
  return bytes === null ? null : bytes.toString('utf8');
}

function bytesOf(bytes: Buffer | null): string | null {
  return bytes === null || isText(bytes) ? null : bytes.toString('base64');
}

function bufferOf(text: Value, bytes: Value): Buffer | null {
  if (bytes !== null) return Buffer.from(bytes as string, 'base64');
  return text === null ? null : Buffer.from(text as string);
}
