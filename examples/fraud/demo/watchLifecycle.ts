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

/** Follows the model's lifecycle and prints what changes. */
export function watchLifecycle(lifecycle: LifecycleClient, model: string, timeline: Timeline) {
  const state = { phase: '', isTraining: false, stop: () => undefined as void };
  let stopped = false;
  state.stop = () => {
    stopped = true;
  };
  let before = '';
  let shown = 0;
  const look = async (): Promise<void> => {
    const status: LifecycleStatus | null = await lifecycle.lifecycleStatus(model).catch(() => null);
    for (const each of status?.cases ?? []) {
      const text = `case ${each.id}: ${each.state}${each.note === '' ? '' : ` (${each.note})`}`;
      if (text === before) continue;
      if (before === '')
        timeline.say(
          `drift: ${each.source} of version ${each.version}, onset ${dayOf(each.onset)}, detected ${dayOf(each.detectedAt)}`,
        );
      timeline.say(text);
      before = text;
      state.phase = each.state;
    }
    state.isTraining = status?.cases.some(({ state: phase }) => phase === 'training') ?? false;
    const holder = status?.rollout ?? null;
    if (holder !== null && holder.trigger === 'drift') {
      const rollout: RetrainStatus | null = await lifecycle.retrainStatus(holder.workflowId).catch(() => null);
      for (const { step, result } of rollout?.steps.slice(shown) ?? []) timeline.say(`  ${step}: ${result}`);
      shown = rollout?.steps.length ?? shown;
    }
  };
  void (async () => {
    while (!stopped) {
      await look();
      await sleep(500);
    }
  })().catch((error: unknown) => timeline.say(`the lifecycle cannot be watched: ${messageOf(error)}`));
  return state;
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
