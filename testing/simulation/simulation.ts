import { isTidemillError } from '../../contracts/errors.js';
import { groupId, topologyPrefix } from '../../contracts/topics.js';
import type { Log, TopicPartition } from '../../stores/log/log.js';
import { createMemoryLog } from '../../stores/log/memoryLog.js';
import { runTopology } from '../../streams/runtime/runTopology.js';
import type { RuntimeOptions, TaskEvent } from '../../streams/runtime/taskContext.js';
import { partitionName } from '../../streams/runtime/taskInputs.js';
import { decodeFiredThrough } from '../../streams/runtime/taskTimers.js';
import type { StreamTask, Topology } from '../../streams/runtime/topology.js';
import { observeTasks } from './observedTask.js';
import { PlannedFaults } from './faults.js';
import { lagInLog } from './lag.js';
import { Life } from './life.js';
import { Scheduler, stuck, type Actor } from './scheduler.js';
import { simulatedLog } from './simulatedLog.js';
import { SnapshotShelf } from './snapshotShelf.js';

/** Time that `settle` lets pass at most while nothing comes of it, ms. */
const PATIENCE_MS = 10 * 60_000;

export interface SimulationSettings {
  readonly startMs: number;
  readonly commitIntervalMs: number;
  readonly snapshotIntervalMs: number;
  readonly sessionTimeoutMs: number;
}

/** A task that a running process holds. */
export interface LiveTask {
  readonly instance: string;
  readonly topology: Topology;
  readonly id: string;
  readonly partitions: readonly TopicPartition[];
  readonly task: StreamTask;
  /** Its whole state as a snapshot would hold it now, by key in hex. */
  readonly stateNow: () => ReadonlyMap<string, Uint8Array>;
  /** `recovering`, `live` or `stopped`. */
  readonly state: string;
  /** Committed offsets by `TOPIC-PARTITION`. */
  readonly offsets: Readonly<Record<string, number>>;
}

/** What the group has committed for a task: all that its state is a function of. */
export interface CommittedPlace {
  readonly offsets: Readonly<Record<string, number>>;
  /** Undefined where the task has no such time. */
  readonly firedThrough: number | null | undefined;
}

/** What happened in the simulation that a test may want to see. */
export type SimulationEvent = TaskEvent & { readonly instance: string; readonly topology: string };

/** Processes that run topologies on a log in memory, step by step; see Scheduler. */
export class Simulation {
  readonly scheduler: Scheduler;
  readonly log: Log;
  readonly shelf: SnapshotShelf;
  readonly faults = new PlannedFaults();
  readonly events: SimulationEvent[] = [];
  /** What else is to be done before all is settled, in words. */
  lagElsewhere: () => Promise<readonly string[]> = () => Promise.resolve([]);
  /** Records of one delivery, chosen anew for each; null: as many as there are. */
  batchRecords: (() => number) | null = null;
  /** Of processes that start from now on, ms. */
  commitIntervalMs: number;
  snapshotIntervalMs: number;
  private readonly lives = new Map<string, Life>();
  /** The broker's own doings: they happen whoever is paused. */
  private readonly broker: Actor = { name: 'broker', state: 'running' };

  constructor(
    readonly topologies: readonly Topology[],
    private readonly settings: SimulationSettings,
  ) {
    this.scheduler = new Scheduler(settings.startMs);
    this.shelf = new SnapshotShelf(this.scheduler);
    this.commitIntervalMs = settings.commitIntervalMs;
    this.snapshotIntervalMs = settings.snapshotIntervalMs;
    this.log = createMemoryLog({
      clock: () => this.scheduler.now,
      batchRecords: () => this.batchRecords?.() ?? 500,
      schedule: (deliver, name, { topic, partition }) => {
        const life = this.lives.get(name);
        if (life !== undefined) void this.scheduler.point(life, `delivery of ${topic}-${partition}`).then(deliver);
      },
    });
  }

  /** Processes by name, the stopped and the dead ones included. */
  get instances(): ReadonlyMap<string, Life> {
    return this.lives;
  }

  get isAnybodyRunning(): boolean {
    return [...this.lives.values()].some(({ state }) => state === 'running');
  }

  /** Starts a process; one that died, or was left for dead, is replaced. */
  async start(name: string): Promise<void> {
    const before = this.lives.get(name);
    if (before !== undefined && before.state !== 'dead') throw stuck(`instance ${name} is running already`);
    // Its successor leaves the group in its name.
    for (const member of before?.members ?? []) await member.expel();
    const life = new Life(name, (dead) => this.expelLater(dead));
    this.lives.set(name, life);
    for (const topology of this.topologies) {
      const starting = runTopology(
        observeTasks(topology, (id, task) => life.tasks.set(taskName(topology, id), task)),
        this.optionsOf(life, topology),
      );
      const running = await this.scheduler.until(Promise.race([starting, life.death]));
      if (running === null) return;
      life.topologies.push(running);
    }
  }

  private optionsOf(life: Life, topology: Topology): RuntimeOptions {
    const { name } = topology.identity;
    return {
      log: simulatedLog(this.log, this.scheduler, this.faults, life, topology.identity),
      instance: life.name,
      directory: life.name,
      commitIntervalMs: this.commitIntervalMs,
      snapshotIntervalMs: this.snapshotIntervalMs,
      clock: this.scheduler.clockOf(life),
      openSnapshots: async (folder) => this.shelf.open(life, folder),
      reach: (point, task) => this.faults.reach(life, name, point, task),
      onEvent: (event) => {
        if (life.state !== 'dead') this.events.push({ ...event, instance: life.name, topology: name });
      },
      onFatal: (error) => {
        if (life.state !== 'dead') life.fatal.push(error);
      },
    };
  }

  /** Ends a process in good order: what is folded is committed, and a snapshot is written. */
  async stop(name: string): Promise<void> {
    const life = this.runningLife(name);
    const stopping = Promise.all(life.topologies.map((topology) => topology.stop()));
    await this.scheduler.until(Promise.race([stopping, life.death]));
    life.die('stopped', false);
  }

  /** Ends a process as kill -9 does; the group notices when its session has run out, or its successor starts. */
  crash(name: string, restart = false): void {
    this.runningLife(name).die('between two steps', restart);
  }

  /** A process that stands still (a long garbage collection, a frozen container) and does not know it. */
  pause(name: string): void {
    const life = this.runningLife(name);
    life.state = 'paused';
    this.expelLater(life);
  }

  /** It goes on where it stood, and hears at its next heartbeat what has become of its tasks. */
  async resume(name: string): Promise<void> {
    const life = this.lives.get(name);
    if (life?.state !== 'paused') throw stuck(`instance ${name} is not paused`);
    life.state = 'running';
    for (const member of life.members) if (member.isExpelled) await member.join();
  }

  private runningLife(name: string): Life {
    const life = this.lives.get(name);
    if (life === undefined || life.state === 'dead') throw stuck(`there is no running instance ${name}`);
    return life;
  }

  private expelLater(life: Life): void {
    const { over } = this.scheduler.wait(this.broker, this.settings.sessionTimeoutMs, `session of ${life.name}`);
    void over.then(async () => {
      if (life.state !== 'running') for (const member of life.members) await member.expel();
    });
  }

  /** Processes that died and are to be started again, as whatever runs them would. */
  async restartDead(): Promise<boolean> {
    const dead = [...this.lives.values()].filter(({ state, wantsRestart }) => state === 'dead' && wantsRestart);
    for (const { name } of dead) await this.start(name);
    return dead.length > 0;
  }

  /**
   * Goes on until everything in the log is answered and committed, and written where it belongs, letting time pass where something waits for it.
   *
   * @throws the error that ended a topology; TidemillError TEST_STUCK where nothing comes of waiting.
   */
  async settle(): Promise<void> {
    const { scheduler } = this;
    let progress = '';
    let since = scheduler.now;
    for (;;) {
      await scheduler.rest();
      if (await this.restartDead()) continue;
      this.throwFatal();
      if (!this.isAnybodyRunning) return;
      const lag = [
        ...this.recovering,
        ...this.waiting,
        ...(await lagInLog(this.log, this.topologies)),
        ...(await this.lagElsewhere()),
      ];
      if (lag.length === 0) return;
      const text = lag.join(', ');
      if (text !== progress) [progress, since] = [text, scheduler.now];
      if (scheduler.now - since > PATIENCE_MS) throw stuck(`still to be done after ${PATIENCE_MS} ms: ${text}`);
      if (!scheduler.passToNextTimer()) throw stuck(`nothing moves, and there is still to be done: ${text}`);
    }
  }

  throwFatal(): void {
    for (const { fatal } of this.lives.values()) {
      // A writer that another generation replaced has done its part.
      const error = fatal.find((each) => !isTidemillError(each, 'ONLINE_GENERATION_RETIRED'));
      if (error !== undefined) throw error as Error;
    }
  }

  /** Tasks that are on their way back, in words. */
  private get recovering(): string[] {
    const tasks = this.tasks.filter(({ state }) => state === 'recovering');
    return tasks.map(({ instance, topology, id }) => `${topology.identity.name} ${id} recovers on ${instance}`);
  }

  /** Tasks with records that wait for their turn, in words. */
  private get waiting(): string[] {
    return this.tasks.flatMap(({ instance, topology, id, task }) => {
      const rows = task.timers?.waiting ?? 0;
      return rows === 0 ? [] : [`${rows} records wait in ${topology.identity.name} ${id} on ${instance}`];
    });
  }

  /** The tasks that running processes hold. */
  get tasks(): readonly LiveTask[] {
    return [...this.lives.values()].flatMap((life) => {
      if (life.state !== 'running') return [];
      return life.topologies.flatMap((running, at) => {
        const topology = this.topologies[at] as Topology;
        return running.status.flatMap(({ task: id, state, offsets }) => {
          const observed = life.tasks.get(taskName(topology, id));
          if (observed === undefined) return [];
          return [{ instance: life.name, topology, id, ...observed, state, offsets }];
        });
      });
    });
  }

  async committedOf({ topology, partitions }: LiveTask): Promise<CommittedPlace> {
    const found = await this.log.committed(groupId(topology.identity), partitions);
    return {
      offsets: Object.fromEntries(found.map(({ offset, ...place }) => [partitionName(place), offset ?? 0])),
      firedThrough: decodeFiredThrough(found.map(({ metadata }) => metadata)),
    };
  }

  /** Folder of a task's snapshots on its instance. */
  snapshotFolder({ instance, topology, id }: Pick<LiveTask, 'instance' | 'topology' | 'id'>): string {
    return `${instance}/snapshots/${topologyPrefix(topology.identity)}/${id}`;
  }
}

function taskName({ identity }: Topology, id: string): string {
  return `${identity.name}/${id}`;
}
