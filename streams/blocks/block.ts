import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { ReplayedRequest } from '../../contracts/records.js';
import type { CompiledStream } from '../../features/compiledView.js';
import type { Value } from '../../features/types.js';

/** One request on its way through the tasks. */
export interface BlockRow {
  /** Offset of the request in its source partition. */
  readonly offset: number;
  /** The request's fields. */
  readonly values: readonly Value[];
  /** The whole vector of the layout; NaN where no task has been yet. */
  readonly vector: Float64Array;
  /** Null but for a replay of a dead letter. */
  readonly replay: ReplayedRequest | null;
}

export interface BlockHeader {
  /** Stage of the upstream task. */
  readonly stage: string;
  /** Index of the upstream task, which is its partition, among `upstreams`. */
  readonly upstream: number;
  readonly upstreams: number;
  /** Watermark of the upstream task: no request before it will follow; null while it knows none. */
  readonly progress: number | null;
  readonly sourceTopic: string;
  readonly sourcePartition: number;
  /** Hash of the vectors' layout: whoever has the same reads them as they are. */
  readonly layout: string;
  /** What the columns are, for whoever has another: the inputs of the layout in order, and how many columns each has. */
  readonly inputs: readonly (readonly [identity: string, columns: number])[];
  /** Indexes of inputs whose columns no task has computed, though their stage has been passed; null for none. */
  readonly absent: readonly number[] | null;
  /** Cut of the tasks before: `folded[topic][partition]`, see CutRecord. */
  readonly folded: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

export interface Block extends BlockHeader {
  readonly rows: readonly BlockRow[];
}

/**
 * Internal topics carry blocks: many requests in one record, in columns.
 *
 *   u32 magic | u32 length of the header | header as JSON | per number field f64 × rows | f64 offsets | f64 vectors
 *
 * Bools are 0 and 1, null is NaN (no field holds NaN); text columns, and what is special about replayed rows, stand in the
 * header.
 */
const MAGIC = 0x3242_4d54; // "TMB2"

interface StoredHeader extends BlockHeader {
  /** Hash of the request stream's contract: names the fields. */
  readonly contract: string;
  readonly rows: number;
  readonly width: number;
  readonly text: Readonly<Record<number, readonly Value[]>>;
  /** By row; absent where no row is a replay. */
  readonly replays?: Readonly<Record<number, ReplayedRequest>>;
}

export function encodeBlock(request: CompiledStream, { rows, ...header }: Block): Buffer {
  const width = rows[0]?.vector.length ?? 0;
  const text: Record<number, Value[]> = {};
  const numeric: number[] = [];
  for (const [field, { type }] of request.fields.entries()) {
    if (type.kind === 'string') text[field] = rows.map(({ values }) => values[field] as Value);
    else numeric.push(field);
  }
  const stored: StoredHeader = {
    ...header,
    contract: request.hash,
    rows: rows.length,
    width,
    text,
    ...replaysOf(rows),
  };
  const json = Buffer.from(JSON.stringify(stored), 'utf8');
  const bytes = Buffer.allocUnsafe(8 + json.length + 8 * rows.length * (numeric.length + 1 + width));
  bytes.writeUInt32LE(MAGIC, 0);
  bytes.writeUInt32LE(json.length, 4);
  let at = 8 + json.copy(bytes, 8);
  for (const field of numeric) {
    for (let row = 0; row < rows.length; row++) {
      const value = (rows[row] as BlockRow).values[field];
      at = bytes.writeDoubleLE(value === null ? Number.NaN : Number(value), at);
    }
  }
  for (let row = 0; row < rows.length; row++) at = bytes.writeDoubleLE((rows[row] as BlockRow).offset, at);
  for (let row = 0; row < rows.length; row++) {
    const { vector } = rows[row] as BlockRow;
    for (let column = 0; column < width; column++) at = bytes.writeDoubleLE(vector[column] as number, at);
  }
  return bytes;
}

function replaysOf(rows: readonly BlockRow[]): Pick<StoredHeader, 'replays'> {
  let replays: Record<number, ReplayedRequest> | null = null;
  for (let row = 0; row < rows.length; row++) {
    const replay = (rows[row] as BlockRow).replay;
    if (replay !== null) (replays ??= {})[row] = replay;
  }
  return replays === null ? {} : { replays };
}

/** @throws TidemillError BLOCK_INVALID */
export function decodeBlock(request: CompiledStream, bytes: Buffer | null): Block {
  if (bytes === null || bytes.length < 8 || bytes.readUInt32LE(0) !== MAGIC) throw invalid('it is no block');
  const length = bytes.readUInt32LE(4);
  let stored: StoredHeader;
  try {
    stored = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as StoredHeader;
  } catch (error) {
    throw invalid(messageOf(error));
  }
  const { rows: count, width, text, contract, replays, ...header } = stored;
  if (contract !== request.hash) throw invalid(`its rows are of another contract of ${request.name}`);
  const columns = header.inputs.reduce((sum, [, each]) => sum + each, 0);
  if (count > 0 && width !== columns) throw invalid(`it has ${width} columns, its layout ${columns}`);
  const numeric = request.fields.flatMap(({ type }, field) => (type.kind === 'string' ? [] : [field]));
  if (bytes.length !== 8 + length + 8 * count * (numeric.length + 1 + width)) throw invalid('it is torn');

  let at = 8 + length;
  const readDouble = (): number => {
    at += 8;
    return bytes.readDoubleLE(at - 8);
  };
  const values: Value[][] = Array.from({ length: count }, () => new Array<Value>(request.fields.length).fill(null));
  for (const field of numeric) {
    const isBool = request.fields[field]?.type.kind === 'bool';
    for (let row = 0; row < count; row++) {
      const number = readDouble();
      (values[row] as Value[])[field] = Number.isNaN(number) ? null : isBool ? number === 1 : number;
    }
  }
  for (const [field, column] of Object.entries(text)) {
    for (let row = 0; row < count; row++) (values[row] as Value[])[Number(field)] = column[row] as Value;
  }
  const offsets = Array.from({ length: count }, readDouble);
  const rows = values.map((fields, row): BlockRow => {
    const vector = new Float64Array(width);
    for (let column = 0; column < width; column++) vector[column] = readDouble();
    return { offset: offsets[row] as number, values: fields, vector, replay: replays?.[row] ?? null };
  });
  return { ...header, rows };
}

function invalid(problem: string): TidemillError {
  return new TidemillError('BLOCK_INVALID', `an internal block cannot be read: ${problem}`, { problem });
}
