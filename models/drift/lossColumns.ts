import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { LossRow } from './championLosses.js';

/** Losses of one partition in the order of their requests, in columns. */
export interface LossColumns {
  /** Number of the partition. */
  readonly upstream: number;
  /** Event time up to which labels are known in it; null where more of the same follows. */
  readonly knownUpTo: number | null;
  /** Event time up to which rows came before; null where these are the first of the partition. */
  readonly from: number | null;
  /** Does nothing come from the partition any more? Nobody waits for it then. */
  readonly isIdle: boolean;
  readonly at: Float64Array;
  readonly ids: Float64Array | readonly string[];
  readonly versions: Float64Array;
  readonly losses: Float64Array;
}

/**
 *   u32 magic | u32 length of the header | header as JSON, and spaces up to 8 bytes | f64 at | versions | losses | ids
 *
 * Ids that are texts stand in the header.
 */
const MAGIC = 0x314c_4d54; // "TML1"

interface Header {
  readonly upstream: number;
  readonly knownUpTo: number | null;
  readonly from: number | null;
  /** Left out where it is not idle. */
  readonly isIdle?: boolean;
  readonly rows: number;
  readonly ids: readonly string[] | null;
}

/** Rows of a block: of 32 bytes each, or of texts as ids, they stay below the broker's limit of a record. */
export const MAX_BLOCK_ROWS = 8_192;

export function encodeLosses(
  { upstream, knownUpTo, from, isIdle }: Pick<LossColumns, 'upstream' | 'knownUpTo' | 'from' | 'isIdle'>,
  rows: readonly LossRow[],
): Buffer {
  const texts = rows.some(({ id }) => typeof id === 'string') ? rows.map(({ id }) => String(id)) : null;
  const header: Header = { upstream, knownUpTo, from, ...(isIdle ? { isIdle } : {}), rows: rows.length, ids: texts };
  const json = Buffer.from(JSON.stringify(header), 'utf8');
  const start = Math.ceil((8 + json.length) / 8) * 8;
  const columns = texts === null ? 4 : 3;
  const bytes = Buffer.alloc(start + 8 * columns * rows.length, ' ');
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(start - 8, 4);
  json.copy(bytes, 8);
  for (const [row, { at, id, version, loss }] of rows.entries()) {
    bytes.writeDoubleLE(at, start + 8 * row);
    bytes.writeDoubleLE(version, start + 8 * (rows.length + row));
    bytes.writeDoubleLE(loss, start + 8 * (2 * rows.length + row));
    if (texts === null) bytes.writeDoubleLE(id as number, start + 8 * (3 * rows.length + row));
  }
  return bytes;
}

/** @throws TidemillError BLOCK_INVALID */
export function decodeLosses(bytes: Uint8Array | null): LossColumns {
  if (bytes === null || bytes.length < 8) throw invalid('it is no block');
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(0, true) !== MAGIC) throw invalid('it is no block');
  const start = 8 + view.getUint32(4, true);
  let header: Header;
  try {
    header = JSON.parse(Buffer.from(bytes.subarray(8, start)).toString('utf8')) as Header;
  } catch (error) {
    throw invalid(messageOf(error));
  }
  const { upstream, knownUpTo, from, isIdle = false, rows, ids } = header;
  if (bytes.length !== start + 8 * rows * (ids === null ? 4 : 3)) throw invalid('it is torn');
  const column = (number: number): Float64Array => {
    const values = new Float64Array(rows);
    for (let row = 0; row < rows; row++) values[row] = view.getFloat64(start + 8 * (number * rows + row), true);
    return values;
  };
  const [at, versions, losses] = [column(0), column(1), column(2)];
  return { upstream, knownUpTo, from, isIdle, at, versions, losses, ids: ids ?? column(3) };
}

function invalid(problem: string): TidemillError {
  return new TidemillError('BLOCK_INVALID', `a block of losses cannot be read: ${problem}`, { problem });
}
