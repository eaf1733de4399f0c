import { TidemillError } from '../../contracts/errors.js';
import type { CompiledView } from '../compiledView.js';
import type { EventId } from '../types.js';
import { KeyState } from './keyState.js';
import { HASH_BYTES, type Layout } from './layout.js';

/**
 * The one binary encoding of a key's state, little-endian:
 *
 *   u32 magic and version | 8 bytes of the view's hash | u32 checksum of the rest | u32 events | u8 ids are text
 *   f64 times | ids (f64, or u32 length and UTF-8 each) | i32 partitions | f64 offsets | f64 per track
 */
const MAGIC = 0x3153_4d54; // "TMS1"
const HEADER_BYTES = 21;

/** Encodes the events at the indices [from, until). */
export function encodeState(layout: Layout, state: KeyState, from: number, until: number): Uint8Array {
  const events = until - from;
  const areText = typeof state.ids[from] === 'string';
  const texts = areText ? state.ids.slice(from, until).map((id) => Buffer.from(id as string, 'utf8')) : [];
  const idBytes = areText ? texts.reduce((sum, text) => sum + 4 + text.length, 0) : events * 8;
  // Every byte is written; small states share pages of the pool.
  const bytes = Buffer.allocUnsafe(HEADER_BYTES + idBytes + events * (8 + 4 + 8 + 8 * layout.tracks.length));
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);

  let at = HEADER_BYTES;
  for (let index = from; index < until; index++, at += 8) view.setFloat64(at, state.timeAt(index), true);
  if (areText) {
    for (const text of texts) {
      at = bytes.writeUInt32LE(text.length, at);
      at += text.copy(bytes, at);
    }
  } else {
    for (let index = from; index < until; index++, at += 8) view.setFloat64(at, state.ids[index] as number, true);
  }
  for (let index = from; index < until; index++, at += 4) view.setInt32(at, state.partitionAt(index), true);
  for (let index = from; index < until; index++, at += 8) view.setFloat64(at, state.offsetAt(index), true);
  for (let track = 0; track < layout.tracks.length; track++) {
    for (let index = from; index < until; index++, at += 8) view.setFloat64(at, state.trackAt(index, track), true);
  }

  view.setUint32(0, MAGIC, true);
  bytes.set(layout.hashBytes, 4);
  view.setUint32(16, events, true);
  view.setUint8(20, areText ? 1 : 0);
  view.setUint32(12, checksum(bytes, 16), true);
  return bytes;
}

/**
 * The state whose events are those of the chunks, one after the other; of no chunks the empty one.
 *
 * @throws TidemillError STATE_CORRUPT
 */
export function decodeState(view: CompiledView, layout: Layout, chunks: readonly Uint8Array[]): KeyState {
  const buffers = chunks.map((chunk) => checked(view, layout, chunk));
  const events = buffers.reduce((sum, bytes) => sum + bytes.readUInt32LE(16), 0);
  const state = new KeyState(layout, Math.max(2, events));
  for (const bytes of buffers) appendInOrder(view, layout, state, bytes);
  return state;
}

/**
 * Adds the events of one more chunk to a state.
 *
 * @returns how many.
 * @throws TidemillError STATE_CORRUPT
 */
export function appendState(view: CompiledView, layout: Layout, state: KeyState, chunk: Uint8Array): number {
  const bytes = checked(view, layout, chunk);
  const events = bytes.readUInt32LE(16);
  state.reserve(events);
  appendInOrder(view, layout, state, bytes);
  return events;
}

function checked(view: CompiledView, layout: Layout, chunk: Uint8Array): Buffer {
  const bytes = Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
  checkHeader(view, layout, bytes);
  return bytes;
}

function appendInOrder(view: CompiledView, layout: Layout, state: KeyState, bytes: Buffer): void {
  const joint = state.end;
  append(view, layout, state, bytes);
  if (joint > state.start && state.timeAt(joint) < state.timeAt(joint - 1))
    throw corrupt(view, 'its chunks are out of order');
}

function checkHeader(view: CompiledView, { hashBytes }: Layout, bytes: Buffer): void {
  if (bytes.length < HEADER_BYTES || bytes.readUInt32LE(0) !== MAGIC) throw corrupt(view, 'it is not a state');
  if (!hashBytes.equals(bytes.subarray(4, 4 + HASH_BYTES))) throw corrupt(view, 'it is of another view');
  if (bytes.readUInt32LE(12) !== checksum(bytes, 16)) throw corrupt(view, 'its checksum is wrong');
}

/** Reads the events of one chunk to the end of the state, which has room for them. */
function append(view: CompiledView, layout: Layout, state: KeyState, bytes: Buffer): void {
  const events = bytes.readUInt32LE(16);
  const areText = bytes.readUInt8(20) === 1;
  const times = HEADER_BYTES;
  const ids: EventId[] = [];
  let at = times + events * 8;
  for (let event = 0; event < events; event++) {
    if (areText) {
      const length = bytes.readUInt32LE(at);
      ids.push(bytes.toString('utf8', at + 4, at + 4 + length));
      at += 4 + length;
    } else {
      ids.push(bytes.readDoubleLE(at));
      at += 8;
    }
  }
  const partitions = at;
  const offsets = partitions + events * 4;
  const tracks = offsets + events * 8;
  const expected = tracks + events * 8 * layout.tracks.length;
  if (expected !== bytes.length) throw corrupt(view, `it has ${bytes.length} bytes where ${expected} are expected`);
  for (let event = 0; event < events; event++) {
    const index = state.end++;
    const partition = bytes.readInt32LE(partitions + event * 4);
    const offset = bytes.readDoubleLE(offsets + event * 8);
    state.set(index, bytes.readDoubleLE(times + event * 8), ids[event] as EventId, partition, offset);
    for (let track = 0; track < layout.tracks.length; track++)
      state.setTrack(index, track, bytes.readDoubleLE(tracks + (track * events + event) * 8));
  }
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
