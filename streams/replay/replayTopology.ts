import { isTidemillError, TidemillError } from '../../contracts/errors.js';
import type { ReplayProgress } from '../../contracts/replayReport.js';
import { groupId } from '../../contracts/topics.js';
import type { Log } from '../../stores/log/log.js';
import { processClock } from '../runtime/clock.js';
import { runTopology } from '../runtime/runTopology.js';
import { partitionName } from '../runtime/taskInputs.js';
import type { RuntimeOptions } from '../runtime/taskContext.js';
import type { Topology } from '../runtime/topology.js';
import { boundedLog } from './boundedLog.js';
import { behind, endsOf, goingOn, standOf, startReplay, undrained, type Place } from './replayBounds.js';
import { replayTopic } from './replayNames.js';

export interface ReplayOptions {
  readonly log: Log;
  /** The generation that runs. */
  readonly current: Topology;
  /** The same topology in the generation that is replayed. */
  readonly next: Topology;
  /** Log time from which outputs are wanted, ms; null for all. Counts only where the replay begins. */
  readonly from: number | null;
  readonly runtime: Omit<RuntimeOptions, 'log' | 'onFatal'>;
  /** Called at the start of every round, before it is decided how far it goes. */
  readonly beforeRound?: () => Promise<void>;
  /** Told about once a second. */
  readonly onProgress?: (progress: ReplayProgress) => void;
}

/** Time between two looks at how far it is. */
const LOOK_MS = 100;
const TELL_MS = 1_000;
/** A replay that is so many offsets behind a generation that goes on has caught up. */
const CLOSE_ENOUGH = 10_000;
const MAX_ROUNDS = 5;

/**
 * Replays a topology's input into a generation of its own, up to where the running generation stands, in rounds: while one
 * round is replayed the running generation goes on.
 *
 *   running   ─────────────────────●─────●──●   its committed offsets at the start of each round
 *   replay    1 ──────────────────▶│2 ──▶│3▶│
 *
 *   1. say where the replay starts; a replay that was interrupted goes on where its offsets are
 *   2. look where the running generation stands
 *   3. run up to there: the topology as it runs live, on a log that ends there
 *   4. once more, until what is left is little
 *
 * Never beyond: what the running generation has not answered yet is answered by whoever runs next.
 *
 * @returns how far it is when it ends.
 * @throws TidemillError OFFSET_LOST, TOPOLOGY_ACTIVE where somebody else replays it, and what ends a topology
 */
export async function replayTopology(options: ReplayOptions): Promise<ReplayProgress> {
  const { log, current, next } = options;
  await refuseWhileRun(log, next);
  // 1 start
  await startReplay(log, next, options.runtime.archive, options.from, await standOf(log, current));
  const clock = options.runtime.clock ?? processClock;
  const startedAt = clock.now();
  let progress: ReplayProgress = { records: 0, eventTime: null, rate: 0, behind: 0, leftMs: null };
  let records = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    // 2 stand
    await options.beforeRound?.();
    const places = await standOf(log, current);
    const left = await behind(log, next, places);
    progress = { ...progress, behind: left };
    if (left === 0 && (await undrained(log, next)) === 0) break;
    // 3 run
    const before = records;
    progress = await runRound(options, places, (folded, eventTime, offsets) => {
      records = before + folded;
      const seconds = Math.max(0.001, (clock.now() - startedAt) / 1_000);
      const rate = records / seconds;
      return {
        records,
        eventTime,
        rate: Math.round(rate),
        behind: offsets,
        leftMs: rate === 0 ? null : Math.round((offsets / rate) * 1_000),
      };
    });
    // 4 again
    if ((await behind(log, next, await standOf(log, current))) <= CLOSE_ENOUGH && round > 0) break;
  }
  options.onProgress?.(progress);
  return progress;
}

async function runRound(
  { log, next, runtime, onProgress }: ReplayOptions,
  places: readonly Place[],
  progressOf: (folded: number, eventTime: number | null, offsets: number) => ReplayProgress,
): Promise<ReplayProgress> {
  const clock = runtime.clock ?? processClock;
  let failure: { readonly error: unknown } | null = null;
  const beyond = await goingOn(log, places);
  const running = await runTopology(next, {
    ...runtime,
    goesOn: (place) => beyond.has(partitionName(place)),
    log: boundedLog(log, { ends: endsOf(places), redirect: (topic) => replayTopic(next, topic) }),
    onFatal: (error) => {
      failure ??= { error };
    },
  });
  const look = async (): Promise<ReplayProgress> => {
    const watermarks = running.status.flatMap(({ watermark }) => (watermark === null ? [] : [watermark]));
    const eventTime = watermarks.length === 0 ? null : Math.min(...watermarks);
    return progressOf(running.counters.folded, eventTime, await behind(log, next, places));
  };
  let progress = await look();
  let toldAt = clock.now();
  try {
    while (failure === null && (progress.behind > 0 || (await undrained(log, next)) > 0)) {
      await clock.wait(LOOK_MS).over;
      progress = await look();
      if (clock.now() - toldAt < TELL_MS) continue;
      onProgress?.(progress);
      toldAt = clock.now();
    }
  } finally {
    await running.stop();
  }
  if (failure !== null) throw (failure as { readonly error: unknown }).error;
  return progress;
}

/**
 * Makes the replayed generation the one that runs, without a record lost or repeated: what the running one answered is not
 * answered again, and what it did not answer is.
 *
 *   1. refuse while anybody runs the old generation, or records wait in its internal topics
 *   2. replay the rest: both stand at the same offsets then
 *   3. refuse once more while anybody runs either
 *   4. adopt: from here on workers run the new generation, and it writes where the old one wrote
 *
 * A crash before 4 changes nothing, and the switch can be tried again.
 *
 * @param adopt false where the registry knows no such replay any more.
 * @throws TidemillError TOPOLOGY_ACTIVE, REPLAY_BEHIND
 */
export async function switchReplay(options: ReplayOptions, adopt: () => Promise<boolean>): Promise<ReplayProgress> {
  const { log, current, next } = options;
  const { name } = current.identity;
  // 1 old
  await refuseWhileRun(log, current);
  const waiting = await undrained(log, current);
  if (waiting > 0) throw notReady(name, `${waiting} offsets of its internal topics are not processed yet`);
  // 2 rest
  const progress = await replayTopology(options);
  const left = (await behind(log, next, await standOf(log, current))) + (await undrained(log, next));
  if (left > 0) throw notReady(name, `the replay is ${left} offsets behind`);
  // 3 both
  await refuseWhileRun(log, current);
  await refuseWhileRun(log, next);
  // 4 adopt
  if (!(await adopt())) throw notReady(name, `generation ${next.identity.generation} is not being replayed any more`);
  return progress;
}

function notReady(topology: string, problem: string): TidemillError {
  return new TidemillError('REPLAY_BEHIND', `${topology}: ${problem}`, { topology });
}

/** Deletes what a replay left in the log. @throws TidemillError TOPOLOGY_ACTIVE */
export async function dropReplay(log: Log, next: Topology): Promise<void> {
  await refuseWhileRun(log, next);
  await log.deleteTopics(await log.topics(`${groupId(next.identity)}.`));
  await log.deleteGroups([groupId(next.identity)]).catch((error: unknown) => {
    // One that never committed is no group.
    if (isTidemillError(error)) throw error;
  });
}

async function refuseWhileRun(log: Log, { identity }: Topology): Promise<void> {
  const members = await log.groupMembers(groupId(identity));
  if (members.length === 0) return;
  const names = members.map(({ name, host }) => `${name} (${host})`).join(', ');
  throw new TidemillError(
    'TOPOLOGY_ACTIVE',
    `generation ${identity.generation} of ${identity.name} is run by ${names}`,
    {
      topology: identity.name,
      members,
    },
  );
}
