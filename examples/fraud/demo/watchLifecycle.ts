import { setTimeout as sleep } from 'node:timers/promises';
import type { LifecycleClient } from '../../../client/lifecycleClient.js';
import { messageOf } from '../../../contracts/errors.js';
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

/** What the sender needs to know of the lifecycle. */
export interface LifecycleWatch {
  readonly isTraining: boolean;
  stop(): void;
}

/** Follows the model's lifecycle and prints what changes: each case, and the steps of each rollout that drift began. */
export function watchLifecycle(lifecycle: LifecycleClient, model: string, timeline: Timeline): LifecycleWatch {
  let stopped = false;
  let isTraining = false;
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
    isTraining = status?.cases.some(({ state }) => state === 'training') ?? false;
    const holder = status?.rollout ?? null;
    if (holder !== null && holder.trigger === 'drift' && !rollouts.has(holder.workflowId))
      rollouts.set(holder.workflowId, { shown: 0, isDone: false });
    for (const [workflowId, rollout] of rollouts) {
      if (rollout.isDone) continue;
      const found: RetrainStatus | null = await lifecycle.retrainStatus(workflowId).catch(() => null);
      for (const { step, result } of found?.steps.slice(rollout.shown) ?? []) timeline.say(`  ${step}: ${result}`);
      rollout.shown = found?.steps.length ?? rollout.shown;
      rollout.isDone = found?.phase === 'done';
    }
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
    stop: () => {
      stopped = true;
    },
  };
}

/** Waits until no case is open: the last finding may still be on its way. */
export async function decided(lifecycle: LifecycleClient, model: string): Promise<void> {
  for (let quiet = 0; quiet < 10;) {
    const status = await lifecycle.lifecycleStatus(model).catch(() => null);
    const isQuiet = status?.cases.every(({ state }) => state === 'decided') ?? true;
    quiet = isQuiet ? quiet + 1 : 0;
    await sleep(500);
  }
}
