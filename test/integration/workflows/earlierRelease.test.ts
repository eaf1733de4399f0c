import { afterAll, beforeAll, expect, test } from 'vitest';
import { lifecycleId, lifecycleQueue, waitsQueue } from '../../../contracts/workflows.js';
import { changedBundle } from '../../support/lifecycleWorkers.js';
import { RolloutServer } from '../../support/rolloutServer.js';

let server: RolloutServer;
beforeAll(async () => {
  // Releases of before ADR 0020 scheduled every activity but the heavy ones on the queue of the workflow.
  const workflowBundle = await changedBundle(/function queueOf\(activity, project\) \{/, '$& return null;');
  server = await RolloutServer.start({ workflowBundle });
}, 120_000);
afterAll(() => server.stop());

/** Queues on which a workflow has scheduled an activity. */
async function queuesOf(workflowId: string, activity: string): Promise<ReadonlySet<string>> {
  const { events } = await server.lifecycle.temporal.workflow.getHandle(workflowId).fetchHistory();
  const scheduled = (events ?? []).flatMap(({ activityTaskScheduledEventAttributes: each }) =>
    each?.activityType?.name === activity ? [each.taskQueue?.name ?? ''] : [],
  );
  return new Set(scheduled);
}

test('a rollout that an earlier release began is carried to its end by this one', { timeout: 90_000 }, async () => {
  const { workflowId, request } = await server.waiting();
  const lifecycle = lifecycleId(server.project, 'fraud');
  expect(await queuesOf(lifecycle, 'awaitClosed')).toEqual(new Set([lifecycleQueue(server.project)]));
  await server.restart();
  await server.client.approve('fraud', { by: 'ada', version: request.version, evidence: request.evidence });
  expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
  await server.atRest('fraud');
  expect(await queuesOf(workflowId, 'takeSnapshot')).toEqual(new Set([lifecycleQueue(server.project)]));
  expect(await queuesOf(workflowId, 'prepareVersion')).toEqual(new Set([waitsQueue(server.project)]));
  // The wait that was begun before has ended, or the lifecycle would not watch anybody else.
  const next = await server.waiting();
  expect(await queuesOf(lifecycle, 'awaitClosed')).toContain(waitsQueue(server.project));
  await server.lifecycle.temporal.workflow.getHandle(next.workflowId).cancel();
  await server.atRest('fraud');
});
