import { TidemillError } from '../../contracts/errors.js';
import type { ErrorCode } from '../../contracts/errorCodes.js';
import type { FailPoint } from '../../streams/runtime/taskContext.js';
import type { Life } from './life.js';

/** Calls of the log that can be made to fail. */
export type LogCall =
  | 'ensureTopics'
  | 'partitionCount'
  | 'offsets'
  | 'committed'
  | 'join'
  | 'transactionalProducer'
  | 'begin'
  | 'send'
  | 'sendOffsets'
  | 'commit';

/** Where something is to happen; everything left out may be anything. */
export interface FaultPlace {
  /** Like `customer-0`. */
  readonly task?: string;
  /** Like `score.fraud`. */
  readonly topology?: string;
  readonly instance?: string;
}

interface PlannedCrash {
  readonly point: FailPoint;
  readonly at: FaultPlace;
  readonly restart: boolean;
}

interface PlannedFailure {
  readonly call: LogCall;
  readonly at: FaultPlace;
  readonly isApplied: boolean;
  readonly code: ErrorCode;
}

/** What dies at a fail point. It goes no further: nothing of the process that throws it is ever heard of again. */
export class Crash extends Error {
  override readonly name = 'Crash';
}

/** What is going to fail. */
export class PlannedFaults {
  private crashes: PlannedCrash[] = [];
  private failures: PlannedFailure[] = [];
  isOnlineStoreAway = false;

  crash(point: FailPoint, at: FaultPlace, restart: boolean): void {
    this.crashes.push({ point, at, restart });
  }

  fail(call: LogCall, at: FaultPlace, isApplied: boolean, code: ErrorCode): void {
    this.failures.push({ call, at, isApplied, code });
  }

  /** Descriptions of what was planned and has not happened. */
  get pending(): string[] {
    return [
      ...this.crashes.map(({ point }) => `crash ${point}`),
      ...this.failures.map(({ call }) => `failure of ${call}`),
    ];
  }

  /** Forgets what was planned and has not happened. */
  clear(): void {
    this.crashes = [];
    this.failures = [];
  }

  /** Called at a fail point. @throws Crash where the process ends here. */
  reach(life: Life, topology: string, point: FailPoint, task: string): void {
    if (life.state === 'dead') throw new Crash(`${life.name} is dead`);
    const at = this.crashes.findIndex((each) => each.point === point && isAt(each.at, life, topology, task));
    if (at === -1) return;
    const [crash] = this.crashes.splice(at, 1) as [PlannedCrash];
    life.die(`${topology} ${task} ${point}`, crash.restart);
    throw new Crash(`${life.name} died ${point} of ${task}`);
  }

  /** The failure of a call, where one is planned; taken once. */
  take(life: Life, topology: string, call: LogCall, task: string | null): { error: Error; isApplied: boolean } | null {
    const at = this.failures.findIndex((each) => each.call === call && isAt(each.at, life, topology, task));
    if (at === -1) return null;
    const [{ code, isApplied }] = this.failures.splice(at, 1) as [PlannedFailure];
    const answer = isApplied ? 'done, but the answer was lost' : 'not done';
    return { error: new TidemillError(code, `${call} fails as the test planned: ${answer}`, { call }), isApplied };
  }

  checkOnlineStore(): void {
    if (this.isOnlineStoreAway)
      throw new TidemillError('ONLINE_UNAVAILABLE', 'the online store is away, as the test planned');
  }
}

function isAt(place: FaultPlace, life: Life, topology: string, task: string | null): boolean {
  return (
    (place.instance === undefined || place.instance === life.name) &&
    (place.topology === undefined || place.topology === topology) &&
    (place.task === undefined || place.task === task)
  );
}
