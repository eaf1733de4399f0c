import { TidemillError } from '../../../contracts/errors.js';
import type { EventId, Value } from '../../../features/types.js';

/** Event time covered by one bucket. */
const BUCKET_MS = 60_000;

/**
 * Requests of the lateness horizon by (key, time, id), each with the lowest offset it came at: what makes a second record
 * a duplicate. Anything older is late, so it is never looked up and is forgotten in whole buckets.
 */
export class SeenRequests {
  private readonly buckets = new Map<number, Map<string, number>>();
  private dirty = new Set<number>();

  /** Offset of an earlier record of the same event, or null; remembers the record where it is the first. */
  meet(key: Value, time: number, id: EventId, offset: number): number | null {
    const number = Math.floor(time / BUCKET_MS);
    let bucket = this.buckets.get(number);
    if (bucket === undefined) {
      bucket = new Map();
      this.buckets.set(number, bucket);
    }
    const identity = `${time}\0${String(id)}\0${String(key)}`;
    const first = bucket.get(identity);
    if (first !== undefined && first < offset) return first;
    bucket.set(identity, offset);
    this.dirty.add(number);
    return null;
  }

  /** Forgets buckets that lie wholly before the watermark. */
  evict(watermark: number): void {
    for (const number of this.buckets.keys()) {
      if ((number + 1) * BUCKET_MS > watermark) continue;
      this.buckets.delete(number);
      this.dirty.add(number);
    }
  }

  *snapshot(): Iterable<{ readonly bucket: number; readonly value: Uint8Array | null }> {
    const { dirty } = this;
    this.dirty = new Set();
    for (const number of dirty) {
      const bucket = this.buckets.get(number);
      yield { bucket: number, value: bucket === undefined ? null : Buffer.from(JSON.stringify([...bucket])) };
    }
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(bucket: number, value: Uint8Array): void {
    try {
      this.buckets.set(bucket, new Map(JSON.parse(Buffer.from(value).toString('utf8')) as [string, number][]));
    } catch (error) {
      throw new TidemillError(
        'STATE_CORRUPT',
        `seen requests of bucket ${bucket} cannot be read`,
        { bucket },
        { cause: error },
      );
    }
  }
}
