import { isDeepStrictEqual } from 'node:util';
import {
  ScheduleAlreadyRunning,
  ScheduleNotFoundError,
  type Client,
  type ScheduleDescription,
} from '@temporalio/client';
import {
  modelOfSchedule,
  scheduleId,
  schedulePrefix,
  type AuditSchedule,
  type HealSchedule,
  type ScheduleChange,
  type WantedSchedule,
} from '../contracts/schedules.js';
import {
  partsOfFound,
  partsOfWanted,
  scheduleOptions,
  whatOf,
  wordsOf,
  type WantedOptions,
} from './describeSchedule.js';
import { reached } from './reached.js';

/** What of a model `tidemill apply` looks at. */
export interface ScheduledModel {
  readonly name: string;
  readonly schedule: WantedSchedule['spec'] | null;
  /** @default it is audited where somebody asks */
  readonly audit?: AuditSchedule;
  /** @default its views are healed where somebody asks */
  readonly heal?: HealSchedule;
}

/** The schedules that a model may have, and what it wants of each. */
function schedulesOf({ name, schedule, audit, heal }: ScheduledModel): readonly {
  readonly name: string;
  readonly what: string;
  readonly schedule: WantedSchedule | null;
}[] {
  const retrains = schedule === null ? null : ({ does: 'retrain', model: name, spec: schedule } as const);
  const audits =
    audit === undefined ? null : ({ does: 'audit', model: name, spec: audit.schedule, sample: audit.sample } as const);
  return [
    { name, what: 'retrain', schedule: retrains },
    { name, what: 'audit', schedule: audits },
    // Those of views that are healed no more are found in the server's list.
    ...(heal?.views ?? []).map((view) => {
      const wanted = { does: 'heal', model: name, spec: (heal as HealSchedule).schedule, view } as const;
      return { name, what: whatOf(wanted), schedule: wanted };
    }),
  ];
}

/**
 * Makes the Temporal Schedules of a project what its definitions want, and touches no others: created, changed, left alone
 * or removed. Done again it changes nothing. A schedule that is paused stays paused.
 *
 * 1. the schedules of all models of the project are looked up by id;
 * 2. those of models and views that there are no more are found in the list of the server, which may lag behind by seconds: what it
 *    does not show yet is removed the next time;
 * 3. differences are removed.
 *
 * @param models every model of the project, with a schedule or without.
 * @param apply false: only says what it would do.
 * @throws TidemillError TEMPORAL_UNAVAILABLE
 */
export async function applySchedules(
  temporal: Client,
  project: string,
  models: readonly ScheduledModel[],
  apply: boolean,
): Promise<readonly ScheduleChange[]> {
  const prefix = schedulePrefix(project);
  const changes: ScheduleChange[] = [];
  // 1
  for (const { name, what, schedule } of models.flatMap(schedulesOf)) {
    const wanted = schedule === null ? null : scheduleOptions(project, schedule);
    const id = scheduleId(project, name, what);
    const change = compare(id, name, wanted, await findSchedule(temporal, id));
    if (change === null) continue;
    changes.push(change);
    // 3
    if (apply) await carryOut(temporal, change, wanted);
  }
  // 2
  const known = new Set(models.flatMap(schedulesOf).map(({ name, what }) => scheduleId(project, name, what)));
  const ids = await reached(async () => {
    const all: string[] = [];
    for await (const { scheduleId: id } of temporal.schedule.list())
      if (id.startsWith(prefix) && !known.has(id)) all.push(id);
    return all;
  });
  for (const id of ids.sort()) {
    // The list may still show what is gone.
    const change = compare(id, modelOfSchedule(project, id), null, await findSchedule(temporal, id));
    if (change === null) continue;
    changes.push(change);
    // 3
    if (apply) await carryOut(temporal, change, null);
  }
  return changes;
}

async function findSchedule(temporal: Client, id: string): Promise<ScheduleDescription | null> {
  return reached(async () => {
    try {
      return await temporal.schedule.getHandle(id).describe();
    } catch (error) {
      if (error instanceof ScheduleNotFoundError) return null;
      throw error;
    }
  });
}

/** Null where there is none and none is wanted. */
function compare(
  id: string,
  model: string,
  wanted: WantedOptions | null,
  found: ScheduleDescription | null,
): ScheduleChange | null {
  const paused = found?.state.paused ?? false;
  if (found === null) {
    return wanted === null ? null : { id, model, change: 'created', before: null, after: wordsOf(wanted, []), paused };
  }
  if (wanted === null) return { id, model, change: 'removed', before: wordsOf(found, []), after: null, paused };
  const after = wordsOf(wanted, []);
  const [are, become] = [partsOfFound(found), partsOfWanted(wanted)];
  const differing = Object.keys(become).filter((part) => !isDeepStrictEqual(are[part], become[part]));
  const plain = wordsOf(found, []);
  const unseen = differing.filter(
    (part) => !(part in plain) || plain[part as keyof typeof plain] === after[part as keyof typeof after],
  );
  const change = differing.length === 0 ? 'unchanged' : 'changed';
  return { id, model, change, before: wordsOf(found, unseen), after, paused };
}

async function carryOut(temporal: Client, { id, change }: ScheduleChange, wanted: WantedOptions | null): Promise<void> {
  const handle = temporal.schedule.getHandle(id);
  await reached(async () => {
    if (change === 'removed') {
      await handle.delete().catch((error: unknown) => {
        if (!(error instanceof ScheduleNotFoundError)) throw error;
      });
    } else if (wanted !== null && change !== 'unchanged') {
      const { spec, action, policies } = wanted;
      const update = (): Promise<void> => handle.update(({ state }) => ({ spec, action, policies, state }));
      if (change === 'changed') return update();
      try {
        await temporal.schedule.create({ ...wanted, state: { note: 'set up by tidemill apply' } });
      } catch (error) {
        // Another `tidemill apply` was faster.
        if (!(error instanceof ScheduleAlreadyRunning)) throw error;
        await update();
      }
    }
  });
}
