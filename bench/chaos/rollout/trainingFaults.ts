import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultPayloadConverter } from '@temporalio/common';
import { journalEntry } from '../../../activities/journal.js';
import type { FittedModel } from '../../../activities/trainingActivities.js';
import type { Checkpoint } from '../../../activities/training/trainXgboost.js';
import { mayMount, onSmallDisk } from '../fullDisk.js';
import { MODEL, type Cluster } from './cluster.js';
import { outcomeOf, reached, retrain, type RolloutFault } from './rolloutSteps.js';

/** Rounds of the newest checkpoint that the server knows of a training; 0 for none. */
async function roundsKnown({ lifecycle }: Cluster, workflowId: string, activity: string): Promise<number> {
  const { raw } = await lifecycle.temporal.workflow.getHandle(workflowId).describe();
  const pending = raw.pendingActivities?.find(({ activityType }) => activityType?.name === activity);
  const [details] = pending?.heartbeatDetails?.payloads ?? [];
  if (details === undefined) return 0;
  return defaultPayloadConverter.fromPayload<Checkpoint | null>(details)?.rounds ?? 0;
}

/** SIGKILL of the lifecycle worker in the midst of a training: the next attempt must go on from what was saved. */
const kills: readonly RolloutFault[] = (
  [
    ['evaluationFit', 'fitEvaluation'],
    ['releaseFit', 'fitRelease'],
  ] as const
).map(([step, activity]) => ({
  step,
  fault: 'kill after a checkpoint',
  outcomes: ['promoted'],
  run: async (cluster, id) => {
    await cluster.restartLifecycle({}, 'slow');
    try {
      const workflowId = await retrain(cluster, id);
      await reached(cluster, workflowId, step);
      let saved = 0;
      while (saved === 0) {
        await sleep(100);
        saved = await roundsKnown(cluster, workflowId, activity);
      }
      await cluster.worker('lifecycle').kill();
      saved = await roundsKnown(cluster, workflowId, activity);
      await cluster.restartLifecycle({}, 'slow');
      const result = await cluster.lifecycle.retrainResult(workflowId);
      const token = result.outcome === 'refused' ? 0 : result.token;
      const fitted = (await journalEntry(cluster.registry, { model: MODEL, token }, step))?.result as
        FittedModel | undefined;
      // A round before what was saved is a round begun twice.
      if ((fitted?.resumedAt ?? 0) < saved)
        throw new Error(`${saved} rounds were saved, and it went on from ${fitted?.resumedAt}`);
      return outcomeOf(result);
    } finally {
      await cluster.restartLifecycle();
    }
  },
}));

export const TRAINING_FAULTS: readonly RolloutFault[] = [
  ...kills,
  {
    step: 'evaluationFit',
    fault: 'disk full at the export',
    outcomes: ['compensated and promoted'],
    needs: mayMount,
    run: async (cluster, id) => {
      const folder = join(cluster.configuration.home, 'objects', 'models');
      const disk = await onSmallDisk(folder);
      try {
        await disk.fill();
        const first = await cluster.lifecycle.retrainResult(await retrain(cluster, `${id}-a`));
        const reason = first.outcome === 'notPromoted' ? first.reason : '';
        if (!reason.includes('DISK_FULL') || !reason.includes(folder) || !reason.includes('Make room'))
          throw new Error(`the reason names neither the folder nor what to do: ${reason}`);
        await disk.empty();
        const second = await cluster.lifecycle.retrainResult(await retrain(cluster, `${id}-b`));
        return [first, second].map(outcomeOf).join(' and ');
      } finally {
        await disk.end();
      }
    },
  },
];
