import { TidemillError } from '../../contracts/errors.js';
import type { CompiledView } from '../compiledView.js';
import { KeyState } from './keyState.js';
import type { Layout } from './layout.js';

/**
 * The one binary encoding of a key's state, little-endian:
 *
 *   u32 magic and version | 8 bytes of the view's hash | u32 checksum of the rest | u32 events | u8 ids are text
 *   f64 times | ids (f64, or u32 length and UTF-8 each) | i32 partitions | f64 offsets | f64 per track
 */
const MAGIC = 0x3153_4d54; // "TMS1"
const HEADER_BYTES = 21;
const HASH_BYTES = 8;

/** Encodes the events at the indices [from, until) of the columns. */
export function encodeState(view: CompiledView, state: KeyState, from: number, until: number): Uint8Array {
  const events = until - from;
  const ids = state.ids.slice(from, until);
  const areText = typeof ids[0] === 'string';
  const texts = areText ? ids.map((id) => Buffer.from(id as string, 'utf8')) : [];
  const idBytes = areText ? texts.reduce((sum, text) => sum + 4 + text.length, 0) : events * 8;
  const bytes = Buffer.alloc(HEADER_BYTES + idBytes + events * (8 + 4 + 8 + 8 * state.tracks.length));

  let at = HEADER_BYTES;
  const writeDoubles = (column: Float64Array): void => {
    for (let index = from; index < until; index++) at = bytes.writeDoubleLE(column[index] as number, at);
  };
  writeDoubles(state.times);
  if (areText) {
    for (const text of texts) {
      at = bytes.writeUInt32LE(text.length, at);
      at += text.copy(bytes, at);
    }
  } else {
    for (const id of ids) at = bytes.writeDoubleLE(id as number, at);
  }
  for (let index = from; index < until; index++) at = bytes.writeInt32LE(state.partitions[index] as number, at);
  writeDoubles(state.offsets);
  for (const track of state.tracks) writeDoubles(track);

  bytes.writeUInt32LE(MAGIC, 0);
  bytes.write(view.hash.slice(0, HASH_BYTES * 2), 4, 'hex');
  bytes.writeUInt32LE(events, 16);
  bytes.writeUInt8(areText ? 1 : 0, 20);
  bytes.writeUInt32LE(checksum(bytes, 16), 12);
  return bytes;
}

/**
 * The state whose events are those of the chunks, one after the other; of no chunks the empty one.
 *
 * @throws TidemillError STATE_CORRUPT
 */
export function decodeState(view: CompiledView, layout: Layout, chunks: readonly Uint8Array[]): KeyState {
  const buffers = chunks.map((chunk) => checked(view, chunk));
  const events = buffers.reduce((sum, bytes) => sum + bytes.readUInt32LE(16), 0);
  const state = new KeyState(layout, Math.max(4, events));
  for (const bytes of buffers) appendInOrder(view, state, bytes);
  return state;
}

/**
 * Adds the events of one more chunk to a state.
 *
 * @returns how many.
 * @throws TidemillError STATE_CORRUPT
 */
export function appendState(view: CompiledView, state: KeyState, chunk: Uint8Array): number {
  const bytes = checked(view, chunk);
  const events = bytes.readUInt32LE(16);
  state.reserve(events);
  appendInOrder(view, state, bytes);
  return events;
}

function checked(view: CompiledView, chunk: Uint8Array): Buffer {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  checkHeader(view, bytes);
  return bytes;
}

function appendInOrder(view: CompiledView, state: KeyState, bytes: Buffer): void {
  const joint = state.end;
  append(view, state, bytes);
  if (joint > state.start && (state.times[joint] as number) < (state.times[joint - 1] as number))
    throw corrupt(view, 'its chunks are out of order');
}

function checkHeader(view: CompiledView, bytes: Buffer): void {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) throw corrupt(view, 'it is not a state');
  if (bytes.toString('hex', 4, 12) !== view.hash.slice(0, HASH_BYTES * 2)) throw corrupt(view, 'it is of another view');
  if (bytes.readUInt32LE(12) !== checksum(bytes, 16)) throw corrupt(view, 'its checksum is wrong');
}

/** Reads the events of one chunk to the end of the columns, which have room for them. */
function append(view: CompiledView, state: KeyState, bytes: Buffer): void {
  const from = state.end;
  const until = from + bytes.readUInt32LE(16);
  const areText = bytes.readUInt8(20) === 1;
  let at = HEADER_BYTES;
  const readDoubles = (column: Float64Array): void => {
    for (let index = from; index < until; index++, at += 8) column[index] = bytes.readDoubleLE(at);
  };
  readDoubles(state.times);
  for (let index = from; index < until; index++) {
    if (areText) {
      const length = bytes.readUInt32LE(at);
      state.ids.push(bytes.toString('utf8', at + 4, at + 4 + length));
      at += 4 + length;
    } else {
      state.ids.push(bytes.readDoubleLE(at));
      at += 8;
    }
  }
  for (let index = from; index < until; index++, at += 4) state.partitions[index] = bytes.readInt32LE(at);
  readDoubles(state.offsets);
  for (const track of state.tracks) readDoubles(track);
  if (at !== bytes.length) throw corrupt(view, `it has ${bytes.length} bytes where ${at} are expected`);
  state.end = until;
}

function corrupt(view: CompiledView, problem: string): TidemillError {
  return new TidemillError('STATE_CORRUPT', `state of view ${view.name} (${view.hash.slice(0, 12)}): ${problem}`, {
    view: view.name,
    hash: view.hash,
  });
}

/** FNV-1a over bytes[from..]: finds torn and flipped bytes; no defence against forgery. */
function checksum(bytes: Buffer, from: number): number {
  let hash = 0x811c_9dc5;
  for (let at = from; at < bytes.length; at++) hash = Math.imul(hash ^ (bytes[at] as number), 0x0100_0193);
  return hash >>> 0;
}
