import { messageOf, isTidemillError, TidemillError } from '../../contracts/errors.js';

/** When a task stops for too many records that cannot be processed. */
export interface PoisonLimit {
  /** Poison above this share of the recent records stops the task, 0..1; 1 never does. @default 0.5 */
  readonly share: number;
  /** How many records count as recent. @default 1000 */
  readonly window: number;
  /** Fewer records than this decide nothing. @default 100 */
  readonly least: number;
}

export const POISON_LIMIT: PoisonLimit = { share: 0.5, window: 1_000, least: 100 };

/**
 * Watches what becomes of a task's records. One broken record is set aside; where most are, the producer or the contract is
 * wrong, and setting everything aside would only hide it.
 *
 *   window 8, least 4, share 0.5:   ✓✓✗✗ 2 of 4, goes on   ✗ 3 of 5: stops
 */
export class PoisonBreaker {
  private readonly recent: Uint8Array;
  private next = 0;
  private filled = 0;
  private poisoned = 0;

  constructor(
    private readonly task: string,
    private readonly limit: PoisonLimit,
  ) {
    this.recent = new Uint8Array(limit.window);
  }

  passed(): void {
    this.push(0);
  }

  /** @throws TidemillError POISON_LIMIT_EXCEEDED; what was folded since the last commit is then not committed. */
  failed(error: unknown): void {
    this.push(1);
    const { share, least } = this.limit;
    if (this.filled < least || this.poisoned <= share * this.filled) return;
    const code = isTidemillError(error) ? error.code : 'FOLD_FAILED';
    throw new TidemillError(
      'POISON_LIMIT_EXCEEDED',
      `${this.task}: ${this.poisoned} of the last ${this.filled} records cannot be processed; the last one: ${code}: ${messageOf(error)}`,
      { task: this.task, poisoned: this.poisoned, records: this.filled, share, code },
    );
  }

  private push(isPoison: 0 | 1): void {
    this.poisoned += isPoison - (this.recent[this.next] as number);
    this.recent[this.next] = isPoison;
    this.next = (this.next + 1) % this.recent.length;
    if (this.filled < this.recent.length) this.filled++;
  }
}
