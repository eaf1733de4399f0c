import type { ErrorCode } from '../contracts/errorCodes.js';
import { topologyPrefix, transactionalId } from '../contracts/topics.js';
import type { FailPoint } from '../streams/runtime/taskContext.js';
import type { FaultPlace, LogCall } from './simulation/faults.js';
import { stuck } from './simulation/scheduler.js';
import type { Simulation } from './simulation/simulation.js';

/** Makes things go wrong in a test. What is planned happens once, at the next occasion. */
export class Faults {
  constructor(private readonly simulation: Simulation) {}

  /**
   * The next task that comes to this point takes its process down with it, as kill -9 does.
   *
   * @param place which task; restart: is the process started again, as whatever runs it would? @default true
   */
  crashAt(point: FailPoint, place: FaultPlace & { readonly restart?: boolean } = {}): void {
    const { restart = true, ...at } = place;
    this.simulation.faults.crash(point, at, restart);
  }

  /** Ends a process between two of its steps, as kill -9 does. Nobody starts it again but the test. */
  crash(instance: string): void {
    this.simulation.crash(instance);
  }

  /** A process stands still and does not know it; after 10 s the group gives its tasks to others. */
  pause(instance: string): void {
    this.simulation.pause(instance);
  }

  /** It goes on where it stood: a zombie, until it notices. */
  resume(instance: string): Promise<void> {
    return this.simulation.resume(instance);
  }

  /**
   * The next such call of the log fails.
   *
   * @param place outcome: was it done all the same? `answerLost` is the case in which nobody can know. @default 'notDone'
   *   code: of the error. @default LOG_UNAVAILABLE, for transactions PRODUCER_UNUSABLE
   */
  failNext(
    call: LogCall,
    place: FaultPlace & { readonly outcome?: 'notDone' | 'answerLost'; readonly code?: ErrorCode } = {},
  ): void {
    const { outcome = 'notDone', code, ...at } = place;
    const isOfTransaction = call === 'begin' || call === 'send' || call === 'sendOffsets' || call === 'commit';
    const usual = isOfTransaction ? 'PRODUCER_UNUSABLE' : 'LOG_UNAVAILABLE';
    this.simulation.faults.fail(call, at, outcome === 'answerLost', code ?? usual);
  }

  /** Somebody else takes a task's transactional id: its producer is fenced. */
  async fence(task: string, topology?: string): Promise<void> {
    const found = this.simulation.tasks.find(
      (each) => each.id === task && (topology === undefined || each.topology.identity.name === topology),
    );
    if (found === undefined) throw stuck(`no running instance has a task ${task}`);
    const producer = await this.simulation.log.transactionalProducer(transactionalId(found.topology.identity, task));
    await producer.close();
  }

  /** Snapshots are gone: a disk is new. Returns how many were. */
  loseSnapshots(place: FaultPlace = {}): number {
    return this.simulation.shelf.lose((folder) => this.isIn(folder, place));
  }

  /** Snapshots are damaged. Returns how many entries were. */
  corruptSnapshots(place: FaultPlace = {}): number {
    return this.simulation.shelf.damage((folder) => this.isIn(folder, place));
  }

  private isIn(folder: string, { instance, topology, task }: FaultPlace): boolean {
    const [ofInstance, , ofTopology, ofTask] = folder.split('/');
    const isTopology = this.simulation.topologies.some(
      ({ identity }) => identity.name === topology && topologyPrefix(identity) === ofTopology,
    );
    return (
      (instance === undefined || instance === ofInstance) &&
      (topology === undefined || isTopology) &&
      (task === undefined || task === ofTask)
    );
  }

  /** Every call of the online store fails until it is back. */
  takeOnlineStoreAway(): void {
    this.simulation.faults.isOnlineStoreAway = true;
  }

  bringOnlineStoreBack(): void {
    this.simulation.faults.isOnlineStoreAway = false;
  }

  /** What was planned and has not happened: a test that ends with some has not tested it. */
  get pending(): readonly string[] {
    return this.simulation.faults.pending;
  }
}
