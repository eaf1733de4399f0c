import type { SourcePosition } from './records.js';

/** Where a prediction comes from: what served it, what that had learned from, and what was known at that moment. */
export interface PredictionLineage {
  readonly id: number | string;
  /** Event time of the request, ISO 8601. */
  readonly at: string;
  readonly model: string;
  readonly score: number;
  readonly decision: string;
  readonly role: string;
  /** Epoch of the deployment under which it was made. */
  readonly epoch: number;
  /** Hash of the feature service that computed its vector. */
  readonly service: string;
  /** The prediction's own place, and whether it was read there or in the archive. */
  readonly place: SourcePosition;
  readonly foundIn: 'log' | 'archive';
  readonly cut: {
    /** The request: everything before it in its partition was known. */
    readonly request: SourcePosition;
    /** Offset after the last record that was known, by topic and partition; null where it is in no place any more. */
    readonly folded: Readonly<Record<string, Readonly<Record<string, number>>>> | null;
    /**
     * Where windows over the requests are keyed by another field than their topic: the offsets [from, to) of the request topic
     * that they had counted, by that field and by partition, in one range or more, the request itself included. Empty where there are no such windows;
     * null where the cut is in no place any more.
     */
    readonly requests: Readonly<
      Record<string, Readonly<Record<string, readonly (readonly [from: number, to: number])[]>>>
    > | null;
  };
  /** Null where the model's rules served. */
  readonly version: VersionLineage | null;
}

export interface VersionLineage {
  readonly version: number;
  readonly status: string;
  readonly trainer: string;
  readonly trigger: string;
  readonly createdAt: string;
  readonly codeVersion: string;
  readonly workflow: { readonly id: string; readonly runId: string } | null;
  readonly artifact: { readonly uri: string; readonly sha256: string };
  /** Hash of each view and of all request features that it reads, by name. */
  readonly views: Readonly<Record<string, string>>;
  /** The manifest of what it learned from. */
  readonly dataset: {
    readonly uri: string;
    readonly sha256: string;
    /** Null where the manifest is not among the objects of this home. */
    readonly content: DatasetLineage | null;
  };
}

export interface DatasetLineage {
  readonly rows: number;
  readonly positives: number;
  /** Rows whose vector is the one that was served. */
  readonly asServed: number;
  /** Event time of the requests, and until when a label had to be known. ISO 8601. */
  readonly from: string;
  readonly to: string;
  readonly labelCutOff: string;
  /** Offset after the last archived record, by topic and partition, when the dataset was made. */
  readonly offsets: Readonly<Record<string, Readonly<Record<string, number>>>>;
}

/** A version that reads a view. */
export interface ViewReaderReport {
  readonly model: string;
  readonly version: number;
  readonly status: string;
  /** What it is in the head of the model's deployment. */
  readonly role: 'champion' | 'challenger' | 'preparing' | null;
  /** Hash of the view that it was trained on. */
  readonly hash: string;
}
