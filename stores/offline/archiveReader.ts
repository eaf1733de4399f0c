import type { CompiledStream } from '../../features/compiledView.js';
import type { EventId, LoggedEvent, Value } from '../../features/types.js';

/** Reads a few rows out of many archived files: memory is bounded by what is asked for, not by the files. */
export interface ArchiveReader {
  /** Events at these places of the log, in no order. Places without an event are left out. */
  eventsAt(
    stream: CompiledStream,
    files: readonly string[],
    places: readonly { readonly partition: number; readonly offset: number }[],
  ): Promise<readonly LoggedEvent[]>;
  /** Events of some keys, with what decides whether they were late. */
  eventsOfKeys(query: KeyQuery): Promise<KeyedEvents>;
  /** Draws served predictions of a model; see ServedQuery. */
  sampleServed(query: ServedQuery): Promise<ServedSample>;
  /** Values of the records with these keys, from files of a topic that is archived as it is, in no order. */
  textsOf(files: readonly string[], keys: readonly string[]): Promise<readonly ArchivedText[]>;
  /** The row of the last offset in files of one partition; null where there is none. Append time in ms, null where unknown. */
  lastRow(files: readonly string[]): Promise<{ readonly offset: number; readonly appendedAt: number | null } | null>;
  /** By which contract each file says that it was written; null for those that do not say it. */
  contractsOf(files: readonly string[]): Promise<ReadonlyMap<string, string | null>>;
}

/** Files of one partition that follow on one another. */
export interface KeyQuery {
  readonly stream: CompiledStream;
  readonly files: readonly string[];
  /** Offsets: from <= offset < to. */
  readonly from: number;
  readonly to: number;
  /** Index of the key in the stream's fields, and its values. */
  readonly field: number;
  readonly keys: readonly Value[];
  /** Event times: after < time <= until. */
  readonly after: number;
  readonly until: number;
}

export interface KeyedEvents {
  /** Greatest event time of all rows in the range of offsets; null where there are none. */
  readonly newest: number | null;
  /** In offset order. */
  readonly events: readonly {
    readonly event: LoggedEvent;
    /** Greatest event time of the rows before it in the range of offsets; null for the first. */
    readonly newestBefore: number | null;
  }[];
}

/** Rows whose `samplingKey` is least; the same rows whatever the files and their order. */
export interface ServedQuery {
  readonly files: readonly string[];
  /** Places in the topic of predictions: offset < `ends[partition]`. */
  readonly ends: Readonly<Record<string, number>>;
  /** Event time of the request: from <= time < to. */
  readonly from: number;
  readonly to: number;
  /** Columns of the longest vector that is wanted; shorter ones end with nulls. */
  readonly columns: number;
  readonly size: number;
  readonly seed: string;
}

export interface ServedSample {
  /** Rows in the range by the hash of the service that they name; '' for those that name none. */
  readonly rows: ReadonlyMap<string, number>;
  /** Of the rows that name a service. */
  readonly sample: readonly ServedRow[];
}

/** A served prediction as an audit needs it. */
export interface ServedRow {
  readonly id: EventId;
  /** Event time of the request. */
  readonly at: number;
  /** Place of the request in its topic. */
  readonly partition: number;
  readonly offset: number;
  /** Id of the CutRecord; null where nothing but requests feeds the model. */
  readonly cut: string | null;
  /** Hash of the feature service of `vector`. */
  readonly service: string;
  readonly vector: readonly (number | null)[];
  /** The model's rules answered: columns that nobody had computed for them are null. */
  readonly isByRules: boolean;
  /** Append time of the prediction, ms; null where nobody knows it any more. */
  readonly appendedAt: number | null;
}

export interface ArchivedText {
  readonly key: string;
  readonly text: string;
  /** Append time, ms. */
  readonly appendedAt: number;
}
