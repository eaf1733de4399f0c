import { setTimeout as sleep } from 'node:timers/promises';
import type { LifecycleClient } from '../../../client/lifecycleClient.js';
import { messageOf } from '../../../contracts/errors.js';
import { ROLLOUT_STEPS } from '../../../contracts/rollout.js';
import type { LifecycleStatus, RetrainStatus } from '../../../contracts/workflows.js';
import { dayOf, type Timeline } from './timeline.js';
import type { WorkerProcess } from './workerProcess.js';

/** Prints the steps of a rollout as they finish, until it has ended. */
export async function follow(
  lifecycle: LifecycleClient,
  workflowId: string,
  timeline: Timeline,
  workers: readonly WorkerProcess[],
): Promise<void> {
  let shown = 0;
  for (;;) {
    for (const worker of workers) if (worker.name !== 'initialise') worker.requireRunning();
    const status: RetrainStatus | null = await lifecycle.retrainStatus(workflowId).catch(() => null);
    for (const { step, result } of status?.steps.slice(shown) ?? []) timeline.say(`  ${step}: ${result}`);
    shown = status?.steps.length ?? shown;
    if (status?.phase === 'done') return;
    timeline.progress(`  ${status?.phase ?? 'starting'} …`);
    await sleep(500);
  }
}

const TRAINING_PHASES: ReadonlySet<string> = new Set([
  'starting',
  ...ROLLOUT_STEPS.slice(0, ROLLOUT_STEPS.indexOf('shadow')),
]);
const WATCH_PHASES: ReadonlySet<string> = new Set(['shadow', 'canary', 'bake', 'probation']);

/** What the sender needs to know of the lifecycle. */
export interface LifecycleWatch {
  /** From the lease to the registration: events need not hurry past it. */
  readonly isTraining: boolean;
  /** A candidate, or a new champion, is being watched: only further events bring it on. */
  readonly isWatching: boolean;
  stop(): void;
}

/** Follows the model's lifecycle and prints what changes: each case, and the steps of each rollout that drift began. */
export function watchLifecycle(lifecycle: LifecycleClient, model: string, timeline: Timeline): LifecycleWatch {
  let stopped = false;
  let isTraining = false;
  let isWatching = false;
  /** Last text shown, by case. */
  const cases = new Map<string, string>();
  /** Steps shown, by workflow; a rollout that was let go is looked at until it is done: its last steps come after. */
  const rollouts = new Map<string, { shown: number; isDone: boolean }>();
  const look = async (): Promise<void> => {
    const status: LifecycleStatus | null = await lifecycle.lifecycleStatus(model).catch(() => null);
    for (const each of status?.cases ?? []) {
      const text = `case ${each.id}: ${each.state}${each.note === '' ? '' : ` (${each.note})`}`;
      const before = cases.get(each.id);
      if (text === before) continue;
      if (before === undefined)
        timeline.say(
          `drift: ${each.source} of version ${each.version}, onset ${dayOf(each.onset)}, detected ${dayOf(each.detectedAt)}`,
        );
      timeline.say(text);
      cases.set(each.id, text);
    }
    const holder = status?.rollout ?? null;
    if (holder !== null && !rollouts.has(holder.workflowId))
      rollouts.set(holder.workflowId, { shown: 0, isDone: false });
    let phase = 'done';
    for (const [workflowId, rollout] of rollouts) {
      if (rollout.isDone) continue;
      const found: RetrainStatus | null = await lifecycle.retrainStatus(workflowId).catch(() => null);
      for (const { step, result } of found?.steps.slice(rollout.shown) ?? []) timeline.say(`  ${step}: ${result}`);
      rollout.shown = found?.steps.length ?? rollout.shown;
      rollout.isDone = found?.phase === 'done';
      if (workflowId === holder?.workflowId) phase = found?.phase ?? 'starting';
    }
    // Before it has begun, too: events sent now belong to what it is trained on.
    isTraining = holder !== null && TRAINING_PHASES.has(phase);
    isWatching = holder !== null && WATCH_PHASES.has(phase);
  };
  void (async () => {
    while (!stopped) {
      await look();
      await sleep(500);
    }
  })().catch((error: unknown) => timeline.say(`the lifecycle cannot be watched: ${messageOf(error)}`));
  return {
    get isTraining() {
      return isTraining;
    },
    get isWatching() {
      return isWatching;
    },
    stop: () => {
      stopped = true;
    },
  };
}

/**
 * Waits until nothing is decided any more without further events: a rollout that would watch on is ended, and says what
 * came of it; a case that would wait for labels stays open.
 */
export async function decided(lifecycle: LifecycleClient, model: string, watch: LifecycleWatch): Promise<void> {
  for (let quiet = 0; quiet < 10;) {
    const status = await lifecycle.lifecycleStatus(model).catch(() => null);
    const holder = status?.rollout ?? null;
    const isQuiet = holder === null || watch.isWatching;
    quiet = isQuiet ? quiet + 1 : 0;
    await sleep(500);
    if (quiet < 10 || holder === null) continue;
    await lifecycle.temporal.workflow.getHandle(holder.workflowId).cancel();
    quiet = 0;
  }
}
