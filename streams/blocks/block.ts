import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { CutRecord, ReplayedRequest } from '../../contracts/records.js';
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
  /** A stage before has not waited for everything; see PredictionRecord. */
  readonly early?: true;
}

export interface BlockHeader {
  /** Stage of the upstream task. */
  readonly stage: string;
  /** Index of the upstream task, which is its partition, among `upstreams`. */
  readonly upstream: number;
  readonly upstreams: number;
  /** Watermark of the upstream task: no request before it will follow; null while it knows none. Decides what is kept. */
  readonly watermark: number | null;
  /**
   * Event time up to which the upstream task has written everything that it has read; null while it has read nothing.
   * More may come at the greatest time itself, so it lies 1 ms before that, but where the task is idle. Decides who waits.
   */
  readonly progress: number | null;
  /** Nothing has come to the upstream task for a while, and there is nothing that it could read: nobody need wait for it. */
  readonly isIdle: boolean;
  /** The upstream task has more to read. */
  readonly isLagging: boolean;
  /** Are the rows copies, for the windows alone? They are answered by way of the stages before. */
  readonly isFeed: boolean;
  readonly sourceTopic: string;
  readonly sourcePartition: number;
  /**
   * Source offsets [from, to) that the upstream task has gone through since its block before, whatever partition their rows
   * went to; null where it has gone through none, or does not read the source itself.
   */
  readonly sourceRange: readonly [from: number, to: number] | null;
  /**
   * Do the ranges of a partition follow one another without a gap? Then what one leaves out was sent to nobody. Those of blocks of
   * before leave out what holds no requests, too.
   */
  readonly tellsGaps?: boolean;
  /** Hash of the vectors' layout: whoever has the same reads them as they are. */
  readonly layout: string;
  /** What the columns are, for whoever has another: the inputs of the layout in order, and how many columns each has. */
  readonly inputs: readonly (readonly [identity: string, columns: number])[];
  /** Indexes of inputs whose columns no task has computed, though their stage has been passed; null for none. */
  readonly absent: readonly number[] | null;
  /** Cut of the tasks before: `folded[topic][partition]`, see CutRecord. */
  readonly folded: CutRecord['folded'];
  /** The same of the request stream where it is keyed otherwise. */
  readonly requests: NonNullable<CutRecord['requests']>;
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
const MAGIC = 0x3342_4d54; // "TMB3"
/** Blocks of before progress and watermark were told apart: their `progress` is the watermark. */
const MAGIC_2 = 0x3242_4d54; // "TMB2"

interface StoredHeader extends BlockHeader {
  /** Hash of the request stream's contract: names the fields. */
  readonly contract: string;
  readonly rows: number;
  readonly width: number;
  readonly text: Readonly<Record<number, readonly Value[]>>;
  /** By row; absent where no row is a replay. */
  readonly replays?: Readonly<Record<number, ReplayedRequest>>;
  /** Rows that are early; absent where none is. */
  readonly early?: readonly number[];
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
    ...earlyOf(rows),
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

function earlyOf(rows: readonly BlockRow[]): Pick<StoredHeader, 'early'> {
  const early = rows.flatMap((row, at) => (row.early === true ? [at] : []));
  return early.length === 0 ? {} : { early };
}

/** @throws TidemillError BLOCK_INVALID */
export function decodeBlock(request: CompiledStream, bytes: Buffer | null): Block {
  const magic = bytes === null || bytes.length < 8 ? 0 : bytes.readUInt32LE(0);
  if (bytes === null || (magic !== MAGIC && magic !== MAGIC_2)) throw invalid('it is no block');
  const length = bytes.readUInt32LE(4);
  let stored: StoredHeader;
  try {
    stored = JSON.parse(bytes.toString('utf8', 8, 8 + length)) as StoredHeader;
    if (magic === MAGIC_2) stored = { ...stored, ...UNSAID, watermark: stored.progress };
  } catch (error) {
    throw invalid(messageOf(error));
  }
  const { rows: count, width, text, contract, replays, early, ...header } = stored;
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
    const plain = { offset: offsets[row] as number, values: fields, vector, replay: replays?.[row] ?? null };
    return early?.includes(row) === true ? { ...plain, early: true } : plain;
  });
  return { ...header, rows };
}

/** What an old block does not say. */
const UNSAID = { progress: null, isIdle: false, isLagging: false, isFeed: false, sourceRange: null, requests: {} };

function invalid(problem: string): TidemillError {
  return new TidemillError('BLOCK_INVALID', `an internal block cannot be read: ${problem}`, { problem });
}
