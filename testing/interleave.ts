import { messageOf, TidemillError } from '../contracts/errors.js';
import { placed, type Batch, type PlacedRecord } from './inputs.js';
import { FAULT_KINDS, FaultDice, type FaultKind } from './faultDice.js';
import type { Faults } from './faults.js';
import { seededRandom, type SeededRandom } from './simulation/random.js';
import type { World } from './world.js';

/** One order of events among all that could be, by its seed. */
export interface Interleaving {
  readonly seed: number;
  /**
   * What comes in: records of one partition in the order of the batches, those of different partitions in any order. The
   * wall clock moves to the greatest event time first. @default nothing but what was sent before
   */
  readonly inputs?: readonly Batch[];
  /** Instances that run at the end; those that do not yet are started on the way. @default those that run */
  readonly instances?: readonly string[];
  /** How often something goes wrong. @default 0 */
  readonly faults?: number;
  /** What may go wrong. @default everything there is */
  readonly kinds?: readonly FaultKind[];
}

export interface InterleavingReport {
  /** Steps that the processes took. */
  readonly steps: number;
  /** Records that came in. */
  readonly records: number;
  /** What went wrong, in order. */
  readonly faults: readonly string[];
}

/** Chances of what happens next, where several things can. */
const SEND = 0.1;
const PASS_TIME = 0.02;
const START = 0.01;
const MOST_RECORDS_AT_ONCE = 20;

/**
 * Delivers and steps in random order until everything is in and everything that was to go wrong has; then whoever is away
 * comes back, and the rest is settled, still in random order.
 *
 * @throws TidemillError INVARIANT_BROKEN with the seed, caused by whatever broke
 */
export async function interleave(
  world: World,
  faults: Faults,
  interleaving: Interleaving,
): Promise<InterleavingReport> {
  const { seed, kinds = FAULT_KINDS } = interleaving;
  const { simulation } = world;
  const { scheduler } = simulation;
  const random = seededRandom(seed);
  const inputs = new PendingInputs(world, interleaving.inputs ?? []);
  scheduler.jumpTo(inputs.newest);
  const stepsBefore = scheduler.steps;
  scheduler.random = seededRandom(random.below(2 ** 32));
  simulation.batchRecords = () => 1 + random.below(random.chance(0.2) ? 200 : 8);
  const dice = new FaultDice(simulation, faults, random, kinds, interleaving.instances ?? []);
  const records = inputs.left;
  // Each fault has its place among the records.
  const due = Array.from({ length: interleaving.faults ?? 0 }, () => random.below(records + 1)).sort((a, b) => a - b);
  const toStart = (interleaving.instances ?? []).filter((name) => !simulation.instances.has(name));
  try {
    if (!simulation.isAnybodyRunning && toStart.length > 0) await start(toStart.shift() as string);
    while (inputs.left > 0 || due.length > 0 || toStart.length > 0) {
      if (toStart.length > 0 && random.chance(START)) await start(toStart.shift() as string);
      while (due.length > 0 && records - inputs.left >= (due[0] as number)) {
        due.shift();
        await dice.roll();
      }
      await dice.maybeHeal();
      if (inputs.left > 0 && random.chance(SEND)) await inputs.send(random);
      if (random.chance(PASS_TIME)) scheduler.passToNextTimer();
      if (await scheduler.step()) continue;
      // Nobody has anything to do.
      if (inputs.left > 0) await inputs.send(random);
      else if (toStart.length > 0) await start(toStart.shift() as string);
    }
    await dice.heal();
    await simulation.settle();
    // What was planned and did not come about would surprise whoever goes on.
    simulation.faults.clear();
  } catch (error) {
    const told = dice.rolled.length === 0 ? '' : ` after ${dice.rolled.join('; ')}`;
    throw new TidemillError(
      'INVARIANT_BROKEN',
      `the interleaving of seed ${seed}, which does the same again: ${messageOf(error)}${told}`,
      { seed },
      { cause: error },
    );
  } finally {
    scheduler.random = null;
    simulation.batchRecords = null;
  }
  return { steps: scheduler.steps - stepsBefore, records, faults: dice.rolled };

  async function start(name: string): Promise<void> {
    simulation.commitIntervalMs = random.pick([0, 5, 50]);
    simulation.snapshotIntervalMs = random.pick([0, 20, 5_000]);
    await simulation.start(name);
  }
}

/** Records that have yet to come, by partition. */
class PendingInputs {
  private readonly queues: PlacedRecord[][];
  readonly newest: number;
  left: number;

  constructor(
    private readonly world: World,
    batches: readonly Batch[],
  ) {
    const byPlace = new Map<string, PlacedRecord[]>();
    let newest = Number.NEGATIVE_INFINITY;
    for (const batch of batches) {
      for (const record of placed(world.project.id, world.partitions, batch)) {
        const place = `${record.topic}-${record.partition}`;
        const queue = byPlace.get(place) ?? [];
        queue.push(record);
        byPlace.set(place, queue);
        newest = Math.max(newest, record.time ?? newest);
      }
    }
    this.queues = [...byPlace.values()];
    this.left = this.queues.reduce((sum, queue) => sum + queue.length, 0);
    this.newest = newest;
  }

  /** The next few records of one partition. */
  async send(random: SeededRandom): Promise<void> {
    const waiting = this.queues.filter((queue) => queue.length > 0);
    if (waiting.length === 0) return;
    const records = random.pick(waiting).splice(0, 1 + random.below(MOST_RECORDS_AT_ONCE));
    this.left -= records.length;
    const producer = await this.world.simulation.log.producer();
    await producer.send(records.map(({ time: _, ...record }) => record));
  }
}
