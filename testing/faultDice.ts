import type { FailPoint } from '../streams/runtime/taskContext.js';
import type { Faults } from './faults.js';
import type { LogCall } from './simulation/faults.js';
import type { SeededRandom } from './simulation/random.js';
import type { Simulation } from './simulation/simulation.js';

/** Kinds of what goes wrong in an interleaving. */
export const FAULT_KINDS = [
  /** A process dies at a step of a commit, a snapshot or a recovery, and is started again. */
  'crashAt',
  /** A process dies wherever it is, and is started again. */
  'crash',
  /** A process stands still until the group has given its tasks away, and then goes on. */
  'pause',
  /** A call of the log fails, done or not. */
  'failure',
  /** Somebody takes the transactional id of a task. */
  'fence',
  /** A process stops in good order, and starts again later. */
  'stop',
  /** A process dies, and its snapshots with it. */
  'loseSnapshots',
  /** A process dies, and leaves its snapshots damaged. */
  'corruptSnapshots',
  /** The online store is away for a while. */
  'onlineStore',
] as const;
export type FaultKind = (typeof FAULT_KINDS)[number];

const POINTS: readonly FailPoint[] = [
  'before-begin',
  'after-begin',
  'after-outputs',
  'after-offsets',
  'after-commit',
  'before-snapshot',
  'after-snapshot',
  'after-fence',
];
const CALLS: readonly LogCall[] = ['committed', 'transactionalProducer', 'begin', 'send', 'sendOffsets', 'commit'];
const HEAL = 0.01;

/** Chooses what goes wrong, and when what is away comes back. */
export class FaultDice {
  /** What went wrong so far, in words. */
  readonly rolled: string[] = [];
  private readonly stopped = new Set<string>();

  constructor(
    private readonly simulation: Simulation,
    private readonly faults: Faults,
    private readonly random: SeededRandom,
    private readonly kinds: readonly FaultKind[],
    private readonly instances: readonly string[],
  ) {}

  async roll(): Promise<void> {
    const running = this.inState('running');
    const kind = this.random.pick(this.kinds);
    const what = running.length === 0 ? null : await this.happen(kind, this.random.pick(running));
    if (what !== null) this.rolled.push(what);
  }

  private async happen(kind: FaultKind, instance: string): Promise<string | null> {
    const { random, faults, simulation } = this;
    switch (kind) {
      case 'crashAt': {
        const point = random.pick(POINTS);
        faults.crashAt(point, { instance });
        return `crash of ${instance} ${point}`;
      }
      case 'crash':
        simulation.crash(instance, true);
        return `crash of ${instance}`;
      case 'pause':
        simulation.pause(instance);
        return `pause of ${instance}`;
      case 'failure': {
        const call = random.pick(CALLS);
        const outcome = random.pick(['notDone', 'answerLost'] as const);
        faults.failNext(call, { outcome });
        return `failure of ${call}, ${outcome}`;
      }
      case 'fence': {
        const tasks = simulation.tasks.filter((task) => task.instance === instance && task.state === 'live');
        if (tasks.length === 0) return null;
        const { id, topology } = random.pick(tasks);
        await faults.fence(id, topology.identity.name);
        return `fence of ${id}`;
      }
      case 'stop':
        await simulation.stop(instance);
        // A crash that was planned may have come first.
        if (simulation.instances.get(instance)?.wantsRestart !== true) this.stopped.add(instance);
        return `stop of ${instance}`;
      case 'loseSnapshots':
        simulation.crash(instance, true);
        return `crash of ${instance} with ${faults.loseSnapshots({ instance })} snapshots lost`;
      case 'corruptSnapshots':
        simulation.crash(instance, true);
        return `crash of ${instance} with ${faults.corruptSnapshots({ instance })} snapshot entries damaged`;
      case 'onlineStore':
        faults.takeOnlineStoreAway();
        return 'the online store is away';
    }
  }

  /** Now and then somebody comes back; at once where nobody is there. */
  async maybeHeal(): Promise<void> {
    const isHealing = this.random.chance(HEAL);
    if (!isHealing && this.inState('running').length > 0) return;
    const { simulation, random } = this;
    const ways: (() => Promise<void>)[] = [];
    const paused = this.inState('paused');
    if (paused.length > 0) ways.push(() => simulation.resume(random.pick(paused)));
    if (simulation.faults.isOnlineStoreAway) ways.push(async () => this.faults.bringOnlineStoreBack());
    const stopped = [...this.stopped];
    if (stopped.length > 0) ways.push(() => this.startAgain(random.pick(stopped)));
    const dead = [...simulation.instances.values()].some(({ wantsRestart }) => wantsRestart);
    if (dead) ways.push(async () => void (await simulation.restartDead()));
    if (ways.length > 0) await random.pick(ways)();
  }

  /** Everybody is there again. */
  async heal(): Promise<void> {
    this.faults.bringOnlineStoreBack();
    for (const name of this.inState('paused')) await this.simulation.resume(name);
    for (const name of [...this.stopped]) await this.startAgain(name);
    await this.simulation.restartDead();
    for (const name of this.instances) if (!this.simulation.instances.has(name)) await this.simulation.start(name);
  }

  private async startAgain(name: string): Promise<void> {
    this.stopped.delete(name);
    await this.simulation.start(name);
  }

  private inState(wanted: 'running' | 'paused'): string[] {
    return [...this.simulation.instances.values()].filter(({ state }) => state === wanted).map(({ name }) => name);
  }
}
