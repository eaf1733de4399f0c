import type { Topology } from '../streams/runtime/topology.js';
import type { Batch } from './inputs.js';
import type { Answering } from './scorers.js';
import type { TestedTopology } from './topologies.js';

/** How a project is run by a test. */
export interface TestStreamsOptions {
  /** What runs. @default ['score'] */
  readonly topologies?: readonly TestedTopology[];
  /** Topologies of one's own, run beside them. @default none */
  readonly more?: readonly ((about: { readonly project: string; readonly partitions: number }) => Topology)[];
  /** Who answers for each model, by its name. @default its fallback rules */
  readonly models?: Readonly<Record<string, Answering>>;
  /** Partitions of every topic. @default 2 */
  readonly partitions?: number;
  /** Names of the instances that start with the driver. @default ['one'] */
  readonly instances?: readonly string[];
  /**
   * What lies in the log before anything runs: it is folded silently and nothing of it is answered. @default nothing
   */
  readonly history?: readonly Batch[];
  /** Where the wall clock stands at the start, ms UTC or ISO 8601. @default 2026-01-01T00:00:00Z */
  readonly now?: number | string;
  /** Wall time after which folded records are committed, ms. @default 0: at once, so that no time has to pass */
  readonly commitIntervalMs?: number;
  /** Wall time between two snapshots of a task, ms. @default 5000 */
  readonly snapshotIntervalMs?: number;
}

/** How records come into the log. */
export interface SendOptions {
  /**
   * Wall clock at which the record comes, ms UTC or ISO 8601; the clock never goes back.
   * @default the event time, where that is later than now: events come when they happen
   */
  readonly arrivesAt?: number | string;
}
