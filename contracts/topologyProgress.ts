/** How far the group of a topology has come in one partition of a topic that it reads. */
export interface TopologyProgress {
  /** `score.fraud` */
  readonly topology: string;
  readonly generation: number;
  readonly group: string;
  readonly topic: string;
  readonly partition: number;
  /** Offset of the next record to be processed; null where the group has none yet. */
  readonly committed: number | null;
  /** Offset after the last record that can be read. */
  readonly end: number;
  /** Offsets between both (transaction markers count); null without a committed offset. */
  readonly lag: number | null;
}
