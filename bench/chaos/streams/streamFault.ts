import type { RandomNumbers } from '../../../models/statistics/random.js';
import type { StreamCluster } from './streamCluster.js';
import type { Load } from './load.js';
import type { Verdict } from './ledger.js';

/** What a fault has around it while it is made. */
export interface Scene {
  readonly cluster: StreamCluster;
  /** Records of the run's own load, for faults that send some of it otherwise. */
  readonly load: Load;
  readonly random: RandomNumbers;
  /**
   * The fault is made now: recovery counts from here to the first prediction of a request that came later.
   *
   * @param partitions of the requests that are affected. @default all
   */
  readonly struck: (partitions?: readonly number[]) => Promise<void>;
  /** Waits until everything that was sent so far has been answered. */
  readonly settled: () => Promise<void>;
  readonly say: (text: string) => void;
}

/** One fault: how it is made while load comes in. */
export interface StreamFault {
  /** What kind it is of: faults of one kind stand in one file. */
  readonly family: string;
  readonly fault: string;
  /** Why the fault cannot be made on this machine; null where it can. @default null */
  needs?(): Promise<string | null>;
  /**
   * Makes the fault, and leaves the standing workers running or startable.
   *
   * @returns what befell records outside of the run's own load, where there were some.
   * @throws Error where the fault did not really happen, or something that must hold besides the records' fate does not.
   */
  run(scene: Scene): Promise<Verdict | void>;
}

/** Fails with what had to be there. */
export function requireThat(holds: boolean, otherwise: string): void {
  if (!holds) throw new Error(otherwise);
}
