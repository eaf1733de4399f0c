import { finiteOrNull } from '../../../features/finiteOrNull.js';
import type { CompiledStream } from '../../../features/compiledView.js';

/**
 * Progress of one source partition: driven by its events alone, so that late or not is a function of offsets.
 *
 *   watermark = greatest event time so far - allowed lateness
 *   progress  = greatest event time so far - 1 ms, since more may come at that very time
 */
export class SourceProgress {
  /** Greatest event time so far; -Infinity before the first. */
  greatest = Number.NEGATIVE_INFINITY;
  /** Offset after the last record folded. */
  folded = 0;

  constructor(private readonly stream: CompiledStream) {}

  get watermark(): number {
    return this.greatest - this.stream.allowedLatenessMs;
  }

  get progress(): number {
    return this.greatest - 1;
  }

  /** Is an event of that time behind the watermark? */
  isLate(time: number): boolean {
    return time < this.watermark;
  }

  observe(time: number): void {
    if (time > this.greatest) this.greatest = time;
  }

  encode(): readonly [greatest: number | null, folded: number] {
    return [finiteOrNull(this.greatest), this.folded];
  }

  decode([greatest, folded]: readonly [number | null, number]): void {
    this.greatest = greatest ?? Number.NEGATIVE_INFINITY;
    this.folded = folded;
  }
}
