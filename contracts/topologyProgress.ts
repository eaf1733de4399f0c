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
  /** The task that this partition belongs to: `customer-3`. */
  readonly task: string;
  /** Instance that the group has assigned it to; null where nobody runs it. */
  readonly owner: string | null;
  /**
   * What the task is doing: `recovering`, `live` or `stopped`, as its worker says; `unassigned` where nobody runs it; `unknown`
   * where the worker does not answer.
   */
  readonly state: string;
  /** Share of the silent replay that is done, 0..1; null where that is not known. */
  readonly restored: number | null;
  /** Event time up to which the task is complete, ms; null where it has none, or it is not known. */
  readonly watermark: number | null;
  /** How far that is behind this machine's clock, ms. */
  readonly watermarkDelayMs: number | null;
  /** What an operator should know of the task's state, in sentences. */
  readonly notes: readonly string[];
}
