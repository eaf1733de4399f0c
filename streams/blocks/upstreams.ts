import { finiteOrNull } from '../../features/finiteOrNull.js';
import { leastActive } from '../../features/progress.js';
import type { BlockHeader } from './block.js';

/** What one upstream task has last said of itself. */
interface Upstream {
  watermark: number;
  progress: number;
  isIdle: boolean;
  /** Nothing is known of a task that has not been heard of: it may have everything yet to read. */
  isLagging: boolean;
}

/** One task, as it stands in a snapshot. */
type StoredUpstream = readonly [watermark: number | null, progress: number | null, isIdle: boolean, isLagging: boolean];

/**
 * What the tasks of a stage have announced in their blocks; a fixed set, one for each partition.
 *
 *   customer-0   watermark 10:07   progress 10:17
 *   customer-1   watermark 09:41   progress 09:51   idle
 *   customer-2   watermark 10:03   progress 10:13   -> watermark 09:41, progress 10:13
 *
 * Whoever is idle holds up nobody who waits. It may still come with events of its own watermark, so it does hold up what is
 * forgotten for good.
 */
export class Upstreams {
  private readonly all: Upstream[];

  constructor(tasks: number) {
    this.all = Array.from({ length: tasks }, unheard);
  }

  observe({
    upstream,
    watermark,
    progress,
    isIdle,
    isLagging,
  }: Pick<BlockHeader, 'upstream' | 'watermark' | 'progress' | 'isIdle' | 'isLagging'>): void {
    const known = this.all[upstream] as Upstream;
    if (watermark !== null) known.watermark = Math.max(known.watermark, watermark);
    if (progress !== null) known.progress = Math.max(known.progress, progress);
    known.isIdle = isIdle;
    known.isLagging = isLagging;
  }

  /** No row before it will come from any of them. */
  get watermark(): number {
    return Math.min(...this.all.map(({ watermark }) => watermark));
  }

  /** The least watermark of those that are not idle; where all are, the greatest. */
  get activeWatermark(): number {
    return leastActive(this.all, ({ watermark }) => watermark);
  }

  /** Everything up to it is there from all that are not idle; where all are, the greatest progress of all. */
  get progress(): number {
    return leastActive(this.all, ({ progress }) => progress);
  }

  get isIdle(): boolean {
    return this.all.every(({ isIdle }) => isIdle);
  }

  get isLagging(): boolean {
    return this.all.some(({ isLagging }) => isLagging);
  }

  encode(): readonly StoredUpstream[] {
    return this.all.map(({ watermark, progress, isIdle, isLagging }) => [
      finiteOrNull(watermark),
      finiteOrNull(progress),
      isIdle,
      isLagging,
    ]);
  }

  /** Snapshots of before progress was announced have the watermark alone. */
  decode(stored: readonly (StoredUpstream | number | null)[]): void {
    for (const [at, each] of stored.entries()) {
      const isWatermark = each === null || typeof each === 'number';
      const [watermark, progress, isIdle, isLagging] = isWatermark ? ([each, null, false, false] as const) : each;
      const known = { watermark: watermark ?? unknown, progress: progress ?? unknown, isIdle, isLagging };
      this.all[at] = isWatermark && each === null ? unheard() : known;
    }
  }
}

const unknown = Number.NEGATIVE_INFINITY;

function unheard(): Upstream {
  return { watermark: unknown, progress: unknown, isIdle: false, isLagging: true };
}
