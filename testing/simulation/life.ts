import type { RunningTopology } from '../../streams/runtime/runTopology.js';
import type { ObservedTask } from './observedTask.js';
import type { SimulatedMember } from './simulatedMember.js';
import type { Actor } from './scheduler.js';

/** One life of an instance: from its start to its stop or its death. */
export class Life implements Actor {
  state: Actor['state'] = 'running';
  readonly members: SimulatedMember[] = [];
  readonly topologies: RunningTopology[] = [];
  /** The tasks created in this life, the newest of each name: by `TOPOLOGY/TASK`. */
  readonly tasks = new Map<string, ObservedTask>();
  /** Errors with which topologies ended. */
  readonly fatal: unknown[] = [];
  /** Where it died; null while it has not. */
  deathAt: string | null = null;
  wantsRestart = false;
  /** Resolves when it dies. */
  readonly death: Promise<null>;
  private announce: (nothing: null) => void = () => undefined;

  constructor(
    readonly name: string,
    private readonly onDeath: (life: Life) => void,
  ) {
    this.death = new Promise((resolve) => (this.announce = resolve));
  }

  die(at: string, restart: boolean): void {
    if (this.state === 'dead') return;
    this.state = 'dead';
    this.deathAt = at;
    this.wantsRestart = restart;
    this.announce(null);
    this.onDeath(this);
  }
}
