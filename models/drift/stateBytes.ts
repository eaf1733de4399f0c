import { TidemillError } from '../../contracts/errors.js';
import type { ChangeDetection } from './detector.js';

/**
 * Encoded state of a detector: numbers as little-endian doubles, so that state comes back bit for bit.
 *
 *     kind and format, 1 double | numbers | FNV-1a checksum of all before it, 4 bytes
 */
const CHECKSUM_BYTES = 4;
const DETECTION_NUMBERS = 6;

export function encodeNumbers(format: number, numbers: readonly number[]): Uint8Array {
  const bytes = new Uint8Array((numbers.length + 1) * 8 + CHECKSUM_BYTES);
  const view = new DataView(bytes.buffer);
  view.setFloat64(0, format, true);
  numbers.forEach((value, index) => {
    view.setFloat64((index + 1) * 8, value, true);
  });
  view.setUint32(bytes.length - CHECKSUM_BYTES, checksum(bytes.subarray(0, -CHECKSUM_BYTES)), true);
  return bytes;
}

/** @throws TidemillError STATE_CORRUPT */
export function decodeNumbers(format: number, what: string, bytes: Uint8Array): NumberReader {
  const body = bytes.length - CHECKSUM_BYTES;
  if (body < 8 || body % 8 !== 0) throw corrupt(what, `${bytes.length} bytes are no whole number of values`);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint32(body, true) !== checksum(bytes.subarray(0, body))) throw corrupt(what, 'the checksum differs');
  const found = view.getFloat64(0, true);
  if (found !== format) throw corrupt(what, `the format is ${found}, not ${format}`);
  return new NumberReader(what, view, 8, body);
}

/** Reads the numbers of one state in the order in which they were written. */
export class NumberReader {
  constructor(
    private readonly what: string,
    private readonly view: DataView,
    private at: number,
    private readonly end: number,
  ) {}

  number(): number {
    if (this.at >= this.end) throw corrupt(this.what, 'it ends too early');
    const value = this.view.getFloat64(this.at, true);
    this.at += 8;
    return value;
  }

  /** A whole number of 0..most. */
  whole(most: number): number {
    const value = this.number();
    if (!Number.isInteger(value) || value < 0 || value > most)
      throw corrupt(this.what, `${value} is not in 0..${most}`);
    return value;
  }

  detection(): ChangeDetection | null {
    if (this.whole(1) === 0) return null;
    const [index, onset, before, after, statistic, threshold] = Array.from({ length: DETECTION_NUMBERS }, () =>
      this.number(),
    ) as [number, number, number, number, number, number];
    return { index, onset, before, after, statistic, threshold };
  }

  done(): void {
    if (this.at !== this.end) throw corrupt(this.what, `${this.end - this.at} bytes are left over`);
  }
}

export function numbersOfDetection(detection: ChangeDetection | null): number[] {
  if (detection === null) return [0];
  const { index, onset, before, after, statistic, threshold } = detection;
  return [1, index, onset, before, after, statistic, threshold];
}

function corrupt(what: string, problem: string): TidemillError {
  return new TidemillError('STATE_CORRUPT', `state of ${what}: ${problem}`, { what });
}

function checksum(bytes: Uint8Array): number {
  let hash = 0x811c9dc5;
  for (const byte of bytes) hash = Math.imul(hash ^ byte, 0x01000193);
  return hash >>> 0;
}
