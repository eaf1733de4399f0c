import { TidemillError } from '../../contracts/errors.js';
import type { ViewOperator } from '../../features/operator/viewOperator.js';
import type { Value } from '../../features/types.js';
import { KeyChunks } from './keyChunks.js';

/** Events in a chunk at most; chunks that overflow are halved. */
const MAX_CHUNK_EVENTS = 512;
/** What follows the key of a chunk: its start, so that chunks are read in their order. */
const CHUNK = /@([0-9a-f]{16})$/;

/** One entry of a snapshot; null where it is no more. */
export interface ViewEntry {
  readonly key: string;
  readonly value: Uint8Array | null;
}

/**
 * The keys of a view in a snapshot: an entry each, and of a hot key an entry per chunk, so that it is never rewritten whole.
 *
 *   42                   few events
 *   7@c278bcfe56d2a000   a chunk of many
 *   7@c278bcfe59310000
 */
export class ViewSnapshot {
  private readonly chunks: KeyChunks;
  /** Time of the earliest change of each key since it was written. */
  private changed = new Map<Value, number>();

  constructor(private readonly operator: ViewOperator) {
    this.chunks = new KeyChunks(operator, MAX_CHUNK_EVENTS);
  }

  /**
   * Takes over what changed in the operator since the last call; called by `entries`, too.
   *
   * @returns the keys.
   */
  collect(): Iterable<Value> {
    const changes = this.operator.takeChanges();
    for (const [key, time] of changes)
      this.changed.set(key, Math.min(time, this.changed.get(key) ?? Number.POSITIVE_INFINITY));
    return changes.keys();
  }

  /** Entries changed since the last call. */
  *entries(): Iterable<ViewEntry> {
    this.collect();
    const { changed } = this;
    this.changed = new Map();
    for (const [key, from] of changed) {
      const text = JSON.stringify(key);
      const before = this.chunks.startsOf(key);
      const { chunks, dropped, starts } = this.chunks.plan(key, from);
      if (starts.length > 1) {
        this.chunks.note(key, starts);
        if (before.length === 0) yield { key: text, value: null };
        for (const start of dropped) yield { key: chunkKey(text, start), value: null };
        for (const { start, bytes } of chunks) yield { key: chunkKey(text, start), value: bytes };
      } else {
        this.chunks.forget(key);
        for (const start of before) yield { key: chunkKey(text, start), value: null };
        yield { key: text, value: chunks[0]?.bytes ?? null };
      }
    }
  }

  /**
   * Restores an entry. Those of one key come in the order of their keys.
   *
   * @throws TidemillError STATE_CORRUPT
   */
  restore(entry: string, value: Uint8Array): void {
    const chunk = CHUNK.exec(entry);
    if (chunk === null) {
      this.operator.decodeKey(keyOf(entry), value);
      return;
    }
    const key = keyOf(entry.slice(0, chunk.index));
    const starts = this.chunks.startsOf(key);
    this.operator.appendChunk(key, value);
    this.chunks.note(key, [...starts, timeOf(chunk[1] as string)]);
  }
}

function keyOf(text: string): Value {
  try {
    return JSON.parse(text) as Value;
  } catch (error) {
    throw new TidemillError('STATE_CORRUPT', `${text} is no key of a snapshot`, { key: text }, { cause: error });
  }
}

function chunkKey(key: string, start: number): string {
  return `${key}@${orderedHex(start)}`;
}

const SIGN = 1n << 63n;
const ALL = (1n << 64n) - 1n;

/** A double as 16 digits that sort as it does: negative numbers have all bits turned, others their sign. */
function orderedHex(time: number): string {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(time);
  const bits = bytes.readBigUInt64BE();
  return ((bits & SIGN) === 0n ? bits | SIGN : bits ^ ALL).toString(16).padStart(16, '0');
}

function timeOf(hex: string): number {
  const ordered = BigInt(`0x${hex}`);
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64BE((ordered & SIGN) === 0n ? ordered ^ ALL : ordered ^ SIGN);
  return bytes.readDoubleBE();
}
