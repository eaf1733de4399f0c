/** A change detector over a series of numbers: pure, one value at a time. */
export interface ChangeDetector {
  /** Takes the next value; true where a change is detected with it. */
  update(value: number): boolean;
  /** The change detected by the last update, or null. */
  readonly detection: ChangeDetection | null;
  /** Values taken since the detector was created; the next one has this index. */
  readonly count: number;
  /** All of its state, parameters included; the decode function of its kind reads it. */
  encode(): Uint8Array;
}

export interface ChangeDetection {
  /** Index of the value with which the change was detected, from 0. */
  readonly index: number;
  /** Index of the first value that is estimated to lie after the change. */
  readonly onset: number;
  /** Mean before and after the onset, within what the detector looked at. */
  readonly before: number;
  readonly after: number;
  /** What was compared with the threshold. */
  readonly statistic: number;
  readonly threshold: number;
}
