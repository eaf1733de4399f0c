import type { GroupSums } from '../statistics/confidenceSequence.js';
import { corruptEvidence, wholeNumber } from './evidenceState.js';

/** The sums as plain whole numbers; `open`: source partition, microseconds and requests of its newest batch. */
export interface BatchSumsState {
  readonly batches: number;
  readonly requests: number;
  readonly slow: number;
  readonly slowSquares: number;
  readonly fastSquares: number;
  readonly open: readonly (readonly [partition: number, micros: number, requests: number])[];
}

interface OpenBatch {
  micros: number;
  requests: number;
}

/**
 * Micro-batches and how many of their requests were slow: all or none, since a batch has one time. One pause makes hundreds
 * of requests slow, of as many customers; so that for latency the batch is a unit beside the entity.
 *
 * A batch is told by its time: neighbours of a source partition with the same microseconds. Two batches that happen to take
 * the same are taken for one, which errs on the side of caution.
 */
export class BatchSums {
  private batches = 0;
  private requests = 0;
  private slow = 0;
  private slowSquares = 0;
  private fastSquares = 0;
  private readonly open = new Map<number, OpenBatch>();

  /** @param underMicros from which time on a request is slow. */
  constructor(private readonly underMicros: number) {}

  /** Hot path. Rows of a source partition come in the order of the log. */
  observe(partition: number, micros: number): void {
    const newest = this.open.get(partition);
    if (newest === undefined) this.open.set(partition, { micros, requests: 1 });
    else if (newest.micros === micros) newest.requests++;
    else {
      this.close(newest);
      newest.micros = micros;
      newest.requests = 1;
    }
  }

  private close({ micros, requests }: OpenBatch): void {
    this.batches++;
    this.requests += requests;
    if (micros >= this.underMicros) {
      this.slow += requests;
      this.slowSquares += requests * requests;
    } else this.fastSquares += requests * requests;
  }

  sums(): GroupSums {
    const all = new BatchSums(this.underMicros);
    all.add(this);
    for (const batch of all.open.values()) all.close(batch);
    const { batches, requests, slow, slowSquares, fastSquares } = all;
    return { groups: batches, requests, events: slow, squaresWith: slowSquares, squaresWithout: fastSquares };
  }

  /** Adds those of other partitions, or later ones of the same. */
  add(other: BatchSums): void {
    this.batches += other.batches;
    this.requests += other.requests;
    this.slow += other.slow;
    this.slowSquares += other.slowSquares;
    this.fastSquares += other.fastSquares;
    for (const [partition, { micros, requests }] of other.open) {
      const known = this.open.get(partition);
      if (known !== undefined) this.close(known);
      this.open.set(partition, { micros, requests });
    }
  }

  encode(): BatchSumsState {
    const { batches, requests, slow, slowSquares, fastSquares } = this;
    const open = Array.from(this.open, ([partition, batch]) => [partition, batch.micros, batch.requests] as const);
    return { batches, requests, slow, slowSquares, fastSquares, open };
  }

  /** @throws TidemillError STATE_CORRUPT */
  static decode(underMicros: number, state: unknown): BatchSums {
    const read = (state ?? {}) as Partial<Record<keyof BatchSumsState, unknown>>;
    const decoded = new BatchSums(underMicros);
    for (const name of ['batches', 'requests', 'slow', 'slowSquares', 'fastSquares'] as const) {
      decoded[name] = wholeNumber(`batches.${name}`, read[name]);
    }
    if (!Array.isArray(read.open)) throw corruptEvidence('it has no open batches');
    for (const batch of read.open as unknown[]) {
      const numbers: unknown[] = Array.isArray(batch) ? batch : [];
      const [partition, micros, requests] = [0, 1, 2].map((at) => wholeNumber('open batch', numbers[at]));
      decoded.open.set(partition as number, { micros: micros as number, requests: requests as number });
    }
    return decoded;
  }
}
