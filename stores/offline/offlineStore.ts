import type { CompiledService, CompiledStream } from '../../features/compiledView.js';
import type { EventId, LoggedEvent, Value } from '../../features/types.js';
import type { ArchiveReader } from './archiveReader.js';

/**
 * Batch side of the project: Parquet files of events, vectors and datasets, queried by DuckDB.
 *
 * An **event file** is Parquet with one column per field of its stream, named like the field and in its in-memory form
 * (decimal(s) as the scaled BIGINT, timestamp as BIGINT ms, bool as BOOLEAN), plus `__partition INTEGER` and
 * `__offset BIGINT`, the record's place in the log, and `__appended_at BIGINT`, its append time in ms, null where that is
 * not known, and `__replay VARCHAR`, the header of a replayed dead letter. Rows with equal key, time and id are one event: lowest (partition, offset) counts. Files without
 * `__appended_at` or `__replay` were written before it was kept; they are read as if it were null, also beside files that have it.
 */
export interface OfflineStore {
  /** Writes one event file; `events` are checked events of the stream. Returns rows written. */
  writeEvents(stream: CompiledStream, path: string, events: readonly LoggedEvent[]): Promise<number>;
  /** Reads events back, in (partition, offset) order. */
  readEvents(stream: CompiledStream, files: readonly string[]): AsyncIterable<readonly LoggedEvent[]>;
  /**
   * Merges files of one topic and partition, whatever they hold, into one in the order of their offsets: rows with
   * from <= offset < to, each offset once. Returns rows written.
   *
   * @throws TidemillError ARCHIVE_INCOMPATIBLE where they were written by different contracts
   */
  mergeEvents(
    files: readonly string[],
    range: { readonly from: number; readonly to: number },
    output: string,
  ): Promise<number>;
  /**
   * The service's vectors at the requests, `event-time` (all events of the files count): one row per request row, in
   * (time, id) order, as Parquet `__time, __id, __entity, COLUMN…` with the service's column names as DOUBLE (null for
   * null).
   */
  computeVectors(query: VectorQuery): Promise<VectorTable>;
  /**
   * A dataset: the rows of `vectors` whose label was known by the cut-off, with the vector as it was served where there is
   * one; `skewed` of them differ from event time. Adds `__label DOUBLE, __known_at BIGINT, __served BOOLEAN`.
   */
  joinDataset(query: DatasetQuery): Promise<JoinedTable>;
  /** Loads a vector table or dataset into memory. */
  readVectors(table: VectorTable): Promise<VectorMatrix>;
  /** Few rows out of many files. */
  readonly archive: ArchiveReader;
  close(): Promise<void>;
}

/** Event files of each stream that the service reads, by stream name; and which events of the request stream are rows. */
export interface VectorQuery {
  readonly service: CompiledService;
  readonly files: Readonly<Record<string, readonly string[]>>;
  /** Requests with from <= time < to are rows; all events count as history. */
  readonly from: number;
  readonly to: number;
  /** Field of the request stream for `__entity`, by index; null for none. */
  readonly entity: number | null;
  /** Adds the request's own fields, in their in-memory form, as `__field_0, …`. @default false */
  readonly withFields?: boolean;
  /**
   * Only requests, and events of their stream, whose field has this share of all values: for services whose views all read
   * the request stream by that field, whose shares are independent. Rows with null there belong to none. @default all
   */
  readonly share?: { readonly field: number; readonly of: number; readonly at: number };
  /** Where the result goes. */
  readonly output: string;
  /** Called with 0..1 as far as it can be told. */
  readonly onProgress?: (share: number) => void;
}

/** What labels mean; see models/labelSpec.ts. Durations in ms of event time. */
export interface LabelMeaning {
  readonly horizonMs: number;
  readonly absence: 'missing' | 'negative';
  readonly retentionMs: number;
  readonly censored: readonly string[];
}

/** Files that become a dataset; see joinDataset. */
export interface DatasetQuery {
  /** One row per request: see computeVectors. */
  readonly vectors: VectorTable;
  readonly service: CompiledService;
  /** Event files of the label stream; the label's event id is the request's. */
  readonly labels: LabelMeaning & {
    readonly stream: CompiledStream;
    readonly field: number;
    readonly files: readonly string[];
  };
  /** Files of served predictions: id, at, service, column_0, …; empty where nothing was served. */
  readonly served: readonly string[];
  /** Labels known after this do not count. */
  readonly labelCutOff: number;
  readonly output: string;
}

export interface VectorTable {
  readonly file: string;
  readonly rows: number;
  readonly columns: readonly string[];
  /** Set where the table has labels (`__label DOUBLE`, `__known_at BIGINT`). */
  readonly labelled: boolean;
  /** Number of the request's own fields that the table has. */
  readonly fields: number;
}

/** A dataset, and how many of its rows are what. */
export interface JoinedTable extends VectorTable {
  /** Rows whose vector is the served one. */
  readonly asServed: number;
  /** Those of them whose vector event time has otherwise: by more than rounding. */
  readonly skewed: number;
  readonly positives: number;
}

/** Row-major vectors with what belongs to each row; NaN for null. */
export interface VectorMatrix {
  readonly rows: number;
  readonly columns: readonly string[];
  readonly values: Float64Array;
  readonly times: Float64Array;
  readonly ids: readonly EventId[];
  readonly entities: readonly Value[];
  readonly labels: Float64Array | null;
  readonly knownAt: Float64Array | null;
  /** The requests' own fields, where the table has them. */
  readonly requests: readonly (readonly Value[])[] | null;
}

/** Manifest of a dataset: the version of the data. */
export interface DatasetManifest {
  readonly uri: string;
  readonly sha256: string;
  readonly rows: number;
  readonly positives: number;
  /** Columns of the vector, in order. */
  readonly columns: readonly string[];
  readonly service: string;
  readonly viewHashes: readonly string[];
  readonly window: { readonly from: number; readonly to: number; readonly labelCutOff: number };
  /** Rows whose vector is the served one, and rows computed in event time because they were never served. */
  readonly asServed: number;
  readonly eventTime: number;
  /** Offsets after the last record used, by topic and partition. */
  readonly offsets: Readonly<Record<string, Readonly<Record<string, number>>>>;
}
