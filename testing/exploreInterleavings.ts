import type { Project } from '../models/project.js';
import type { Batch } from './inputs.js';
import type { Interleaving } from './interleave.js';
import { NOTHING_CHECKED, type InvariantReport } from './invariants/checkInvariants.js';
import type { TestStreamsOptions } from './options.js';
import { seededRandom, type SeededRandom } from './simulation/random.js';
import { testStreams, type StreamTestDriver } from './testStreams.js';

const DEFAULT_SEEDS = 200;
const DEFAULT_FAULTS = 3;
const DEFAULT_INSTANCES = ['one', 'two'] as const;

export interface Exploration extends TestStreamsOptions, Pick<Interleaving, 'faults' | 'kinds'> {
  /** What comes in, as a function of the seed. */
  readonly inputs: (random: SeededRandom) => readonly Batch[];
  /** How many seeds, or which: a message names the one that failed. @default 200 */
  readonly seeds?: number | readonly number[];
  /** Told of each run that kept the promises, to hold it to more. */
  readonly check?: (driver: StreamTestDriver, seed: number) => Promise<void>;
}

export interface ExplorationReport extends InvariantReport {
  readonly seeds: number;
  readonly steps: number;
  /** Things that went wrong, over all seeds. */
  readonly faults: number;
}

/**
 * Runs a project in many orders of events, with failures, and holds each run to the promises of the streams.
 *
 * @example
 * await exploreInterleavings(project, { inputs: (random) => [events(transactions, someTransactions(random))] })
 * @throws TidemillError INVARIANT_BROKEN naming the seed: `seeds: [17]` runs that one alone.
 */
export async function exploreInterleavings(project: Project, exploration: Exploration): Promise<ExplorationReport> {
  const { seeds = DEFAULT_SEEDS, faults = DEFAULT_FAULTS, instances = DEFAULT_INSTANCES } = exploration;
  const all = typeof seeds === 'number' ? Array.from({ length: seeds }, (_, at) => at + 1) : seeds;
  const totals: Record<keyof ExplorationReport, number> = {
    seeds: all.length,
    steps: 0,
    faults: 0,
    ...NOTHING_CHECKED,
  };
  for (const seed of all) {
    const driver = await testStreams(project, { ...exploration, instances: [] });
    try {
      const { kinds } = exploration;
      const inputs = exploration.inputs(seededRandom(seed));
      const run = await driver.interleave({
        seed,
        inputs,
        instances,
        faults,
        ...(kinds === undefined ? {} : { kinds }),
      });
      const report = await driver.checkInvariants();
      await exploration.check?.(driver, seed);
      totals.steps += run.steps;
      totals.faults += run.faults.length;
      for (const name of Object.keys(report) as (keyof InvariantReport)[]) totals[name] += report[name];
    } finally {
      await driver.close();
    }
  }
  return totals;
}
