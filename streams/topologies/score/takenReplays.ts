import type { ReplayOrigin } from '../../../contracts/deadLetters.js';
import { TidemillError } from '../../../contracts/errors.js';

/**
 * Dead letters whose replay has been taken, each with the offset of the replay that counts: a replay that comes again is a
 * duplicate, however much later. There are as many as an operator has replayed, so they are kept for ever.
 */
export class TakenReplays {
  private readonly taken = new Map<string, number>();
  private isChanged = false;

  /** Offset of an earlier replay of the same dead letter; null where there was none. */
  firstOf(origin: ReplayOrigin, offset: number): number | null {
    const first = this.taken.get(nameOf(origin));
    // The record itself comes again after a commit that failed.
    return first === undefined || first >= offset ? null : first;
  }

  take(origin: ReplayOrigin, offset: number): void {
    this.taken.set(nameOf(origin), offset);
    this.isChanged = true;
  }

  /** All of them where something changed since the last call; null where nothing did. */
  snapshot(): Uint8Array | null {
    if (!this.isChanged) return null;
    this.isChanged = false;
    return Buffer.from(JSON.stringify([...this.taken]));
  }

  /** @throws TidemillError STATE_CORRUPT */
  restore(value: Uint8Array): void {
    try {
      const entries = JSON.parse(Buffer.from(value).toString('utf8')) as [string, number][];
      for (const [name, offset] of entries) this.taken.set(name, offset);
    } catch (error) {
      throw new TidemillError('STATE_CORRUPT', 'the replays of a snapshot cannot be read', {}, { cause: error });
    }
  }
}

function nameOf({ topic, partition, offset }: ReplayOrigin): string {
  return `${topic}/${partition}/${offset}`;
}
