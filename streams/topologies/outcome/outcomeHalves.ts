import type { OutcomeRecord } from '../../../contracts/records.js';
import type { EventId } from '../../../features/types.js';

/** A prediction on its way to its label; small, so that millions may wait. */
export type PredictionHalf = Omit<OutcomeRecord, 'knownAt' | 'label' | 'revision' | 'source' | 'replaces'> & {
  readonly side: 'prediction';
  /** The decision keeps the truth from showing. */
  readonly censored?: true;
};

export interface LabelHalf {
  readonly side: 'label';
  readonly id: EventId;
  readonly knownAt: number;
  readonly label: number;
}

export type Half = PredictionHalf | LabelHalf;

/** What one upstream task sends to one partition of the join in one transaction. */
export interface OutcomeBlock {
  /** Number of the upstream task. */
  readonly upstream: number;
  /** Watermark of its partition of the label stream; null while nothing is known. */
  readonly progress: number | null;
  /** Do no labels come to that partition any more? Nobody waits for them then. Blocks of before this was said have none. */
  readonly isIdle?: boolean;
  readonly halves: readonly Half[];
}

/** Reads a block, or the bare halves that earlier versions sent. */
export function parseOutcomeBlock(value: Buffer | null): OutcomeBlock {
  const read = JSON.parse(value?.toString('utf8') ?? '[]') as OutcomeBlock | readonly Half[];
  return 'halves' in read ? read : { upstream: 0, progress: null, halves: read };
}
