import type { ArchivedInput } from '../../stores/archive/archivedInput.js';
import type { Log, TopicPartition } from '../../stores/log/log.js';
import type { RuntimeClock } from './clock.js';
import type { DriftWatch } from './drift.js';
import type { ObjectSnapshotOptions } from './objectSnapshots.js';
import type { PoisonLimit } from './poisonBreaker.js';
import type { Snapshots } from './snapshotStore.js';
import type { Topology } from './topology.js';
import type { TopologyCounters } from './topologyCounters.js';

/** Points at which a test may kill the process: the runtime calls `reach` there. */
export type FailPoint =
  | 'before-begin'
  | 'after-begin'
  | 'after-outputs'
  | 'after-offsets'
  | 'after-commit'
  | 'before-snapshot'
  | 'after-snapshot'
  | 'after-fence'
  | 'in-replay';

/** What happens in a task that operators want to know; the composition root writes it to its log. */
export type TaskEvent =
  | {
      readonly kind: 'recovered';
      readonly task: string;
      readonly replayed: number;
      readonly fromSnapshot: boolean;
      readonly ms: number;
    }
  /** Parts of the state that the snapshot lacks are being built from the start of the log. */
  | { readonly kind: 'building'; readonly task: string; readonly parts: readonly string[] }
  /** A copy of the task's snapshot is in the object store. */
  | {
      readonly kind: 'snapshotStored';
      readonly task: string;
      readonly uri: string;
      readonly bytes: number;
      readonly ms: number;
    }
  | { readonly kind: 'snapshotNotStored'; readonly task: string; readonly reason: string }
  /** A snapshot of the object store takes the place of the local one. */
  | { readonly kind: 'snapshotFetched'; readonly task: string; readonly uri: string; readonly bytes: number }
  | { readonly kind: 'snapshotDiscarded'; readonly task: string; readonly reason: string }
  /** Input is read from the archive up to where the log begins. */
  | {
      readonly kind: 'readingArchive';
      readonly task: string;
      readonly name: string;
      readonly from: number;
      readonly to: number;
    }
  /** State begins behind records that neither the log nor the archive has any more: offsets from <= offset < to. */
  | {
      readonly kind: 'historyLost';
      readonly task: string;
      readonly name: string;
      readonly from: number;
      readonly to: number;
    }
  | { readonly kind: 'rebuild'; readonly task: string; readonly error: unknown }
  | { readonly kind: 'lost'; readonly task: string }
  /** How far the tasks of other processes are could not be read; it is tried again. */
  | { readonly kind: 'standingsUnread'; readonly reason: string }
  /** The task was assigned without some of its inputs, and waits for another assignment. */
  | { readonly kind: 'incomplete'; readonly task: string };

export interface RuntimeOptions {
  readonly log: Log;
  /** Name of this worker: stable over restarts, unique among the live ones. */
  readonly instance: string;
  /** Folder for snapshots and member ids. */
  readonly directory: string;
  /**
   * `exactly-once`: outputs and offsets become visible together, each commit. `at-least-once`: outputs are sent as soon as
   * nothing more is waiting, in milliseconds, and may be repeated after a failure. @default exactly-once
   */
  readonly processing?: 'exactly-once' | 'at-least-once';
  /** Outputs and offsets are committed at least this often while there is something. @default 100 */
  readonly commitIntervalMs?: number;
  /** @default 5000 */
  readonly snapshotIntervalMs?: number;
  /** A partition is paused above this many queued bytes and resumed below half of it. @default 8 MiB */
  readonly maxQueueBytes?: number;
  /** Rows that are scored together at most. @default 256 */
  readonly microBatchRows?: number;
  /** @default 10000 */
  readonly sessionTimeoutMs?: number;
  /** When a task stops for too many records that cannot be processed. @default POISON_LIMIT */
  readonly poisonLimit?: Partial<PoisonLimit>;
  /** HOST:PORT where this process answers about its tasks; told to the group, so that others find it. */
  readonly address?: string;
  /** Goes on counting where an earlier run of the topology in this process ended. @default new ones */
  readonly counters?: TopologyCounters;
  /** A transaction was committed, from its beginning to its end in so many seconds. */
  readonly onCommit?: (topology: Topology, seconds: number) => void;
  /** When tasks commit, snapshot and try again. @default that of the process */
  readonly clock?: RuntimeClock;
  /** Opens a task's snapshots. @default LMDB in a folder below `directory` */
  readonly openSnapshots?: (folder: string, onDiscard: (reason: string) => void) => Promise<Snapshots>;
  /**
   * Does a partition go on behind the end that this run sees? It is not idle then. @default none: what is there is read
   */
  readonly goesOn?: (partition: TopicPartition) => boolean;
  /** Input that the log no longer holds. @default none */
  readonly archive?: ArchivedInput;
  /** Copies of snapshots for other machines. @default none */
  readonly objectSnapshots?: ObjectSnapshotOptions;
  readonly reach?: (point: FailPoint, task: string) => void;
  readonly onEvent?: (event: TaskEvent) => void;
  /** The topology cannot go on; everything is stopped. */
  readonly onFatal: (error: unknown) => void;
}

/** One task's surroundings. */
export interface TaskContext {
  readonly topology: Topology;
  readonly options: RuntimeOptions;
  readonly id: string;
  readonly partitions: readonly TopicPartition[];
  /** Unique to this run of the process: owner of snapshots. */
  readonly owner: string;
  /** Where the topology's tasks stand; null where each goes at its own pace. */
  readonly drift: DriftWatch | null;
  /** Of the whole topology in this process. */
  readonly counters: TopologyCounters;
}
