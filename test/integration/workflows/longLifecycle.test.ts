import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as TemporalActivity from '@temporalio/activity';
import type * as TemporalWorker from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import { ensureSearchAttributes } from '../../../client/searchAttributes.js';
import { lifecycleId, type RetrainStatus } from '../../../contracts/workflows.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { serveLifecycle } from '../../support/lifecycleWorkers.js';

const { Context } = createRequire(import.meta.url)('@temporalio/activity') as typeof TemporalActivity;
const { NativeConnection } = createRequire(import.meta.url)('@temporalio/worker') as typeof TemporalWorker;

const project = 'longtest';
/** A finding comes from as many relays at once as its topic has partitions. */
const SENDERS = 4;
const retrainId = `${project}/retrain/fraud/drift-test-1`;

let folder: string;
let temporal: StartedTemporal;
let connection: TemporalWorker.NativeConnection;
let client: LifecycleClient;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-long-'));
  temporal = await startTemporal({ directory: join(folder, 'temporal') });
  connection = await NativeConnection.connect({ address: temporal.address });
  client = await LifecycleClient.connect({ address: temporal.address, namespace: 'default', project });
  await ensureSearchAttributes(client.temporal);
});
afterAll(async () => {
  await client.close();
  await connection.close();
  await temporal.stop();
  await rm(folder, { recursive: true });
});

/** Hears seldom whether it is still wanted: whoever waited until it is cancelled would wait for seconds. */
async function untilCancelled(): Promise<void> {
  for (;;) {
    Context.current().heartbeat();
    await Context.current().sleep(10_000);
  }
}

test(
  'a lifecycle that is signalled without end continues as new, loses no signal, and lets its retrain go on',
  { timeout: 180_000 },
  async () => {
    const served = await serveLifecycle({
      connection,
      project,
      activities: {
        validateModel: () => Promise.resolve(),
        driftPolicy: () => Promise.resolve({ freshPositives: 5, againAfterMs: 0 }),
        automaticRolloutRefused: () => Promise.resolve(null),
        awaitLabels: () => Promise.resolve({ kind: 'there', positives: 5 }),
        // The rollout waits for its turn, for as long as this test takes.
        validateRetrain: (input: unknown) => Promise.resolve(input),
        acquireRollout: () => Promise.resolve({ answer: { kind: 'queued' }, token: null }),
        awaitRetrain: untilCancelled,
      },
    });
    try {
      let sequence = 0;
      const signal = (): Promise<void> =>
        client.signalDrift('fraud', { source: 'test', sequence: ++sequence, version: 1, onset: 0, detectedAt: 1 });
      const isAt = async (phase: string): Promise<boolean> =>
        (await client.retrainStatus(retrainId).catch((): Partial<RetrainStatus> => ({}))).phase === phase;
      await signal();
      while (!(await isAt('queued'))) await sleep(200);

      const { workflow } = client.temporal;
      const lifecycle = workflow.getHandle(lifecycleId(project, 'fraud'));
      const first = (await lifecycle.describe()).runId;
      let isFirst = true;
      const sending = Array.from({ length: SENDERS }, async () => {
        while (isFirst) await signal();
      });
      while (isFirst) {
        await sleep(200);
        isFirst = (await lifecycle.describe()).runId === first;
      }
      await Promise.all(sending);
      const run = await workflow.getHandle(lifecycleId(project, 'fraud'), first).describe();
      expect(run.status.name).toBe('CONTINUED_AS_NEW');
      expect(run.historyLength).toBeLessThan(2_000);

      const { cases } = await client.lifecycleStatus('fraud');
      expect(cases).toMatchObject([{ state: 'training', findings: sequence }]);
      const { events } = await workflow.getHandle(retrainId).fetchHistory();
      expect(events?.some((event) => event.workflowExecutionCancelRequestedEventAttributes)).toBe(false);
      expect(await isAt('queued')).toBe(true);
      for (const id of [retrainId, lifecycleId(project, 'fraud')]) await workflow.getHandle(id).terminate();
    } finally {
      await served.stop();
    }
  },
);
