import { mkdtemp, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type * as TemporalActivity from '@temporalio/activity';
import type * as TemporalWorker from '@temporalio/worker';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import { lifecycleId, type DriftCase, type LabelWait } from '../../../contracts/workflows.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { serveLifecycle } from '../../support/lifecycleWorkers.js';

const { Context } = createRequire(import.meta.url)('@temporalio/activity') as typeof TemporalActivity;
const { NativeConnection } = createRequire(import.meta.url)('@temporalio/worker') as typeof TemporalWorker;

const project = 'stalltest';
const at = { streamTime: 500, outcomes: 3 };

let folder: string;
let temporal: StartedTemporal;
let connection: TemporalWorker.NativeConnection;
let client: LifecycleClient;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-stall-'));
  temporal = await startTemporal({ directory: join(folder, 'temporal') });
  connection = await NativeConnection.connect({ address: temporal.address });
  client = await LifecycleClient.connect({ address: temporal.address, namespace: 'default', project });
});
afterAll(async () => {
  await client.close();
  await connection.close();
  await temporal.stop();
  await rm(folder, { recursive: true });
});

test('a case shows that it is stalled, and goes on when stream time goes on', async () => {
  const waits: LabelWait[] = [
    { kind: 'stalled', positives: 2, at, reason: 'stalled: stream time has not gone on for 1h' },
    { kind: 'there', positives: 5 },
  ];
  let proceed = (): void => undefined;
  const proceeded = new Promise<void>((resolve) => (proceed = resolve));
  const waitedSince: unknown[] = [];
  const served = await serveLifecycle({
    connection,
    project,
    activities: {
      validateModel: () => Promise.resolve(),
      driftPolicy: () => Promise.resolve({ freshPositives: 5, againAfterMs: 0 }),
      automaticRolloutRefused: () => Promise.resolve(null),
      awaitLabels: () => Promise.resolve(waits.shift()),
      awaitProgress: (_model: string, since: unknown) => {
        waitedSince.push(since);
        return proceeded;
      },
      // The rollout itself waits for its turn: it is not what this test looks at.
      validateRetrain: (input: unknown) => Promise.resolve(input),
      acquireRollout: () => Promise.resolve({ answer: { kind: 'queued' }, token: null }),
      awaitRetrain: () => Context.current().cancelled,
    },
  });
  const caseWith = async (state: DriftCase['state']): Promise<DriftCase | undefined> => {
    for (;;) {
      const [found] = await client.lifecycleStatus('fraud').then(
        ({ cases }) => cases,
        () => [],
      );
      if (found?.state === state) return found;
      await sleep(200);
    }
  };
  try {
    await client.signalDrift('fraud', { source: 'test', sequence: 1, version: 1, onset: 0, detectedAt: 1 });
    expect((await caseWith('stalled'))?.note).toBe(
      'stalled: stream time has not gone on for 1h; 2 of 5 positives are labelled',
    );
    // A finding in the meantime belongs to the same case.
    await client.signalDrift('fraud', { source: 'test', sequence: 2, version: 1, onset: 0, detectedAt: 2 });
    proceed();
    expect(await caseWith('training')).toMatchObject({ findings: 2, note: '5 positives after the onset' });
    expect(waitedSince).toEqual([at]);
    expect((await client.lifecycleStatus('fraud')).cases).toHaveLength(1);
    for (const id of [`${project}/retrain/fraud/drift-test-1`, lifecycleId(project, 'fraud')]) {
      let isThere = false;
      while (!isThere) isThere = await client.isRunning(id);
      await client.temporal.workflow.getHandle(id).terminate();
    }
  } finally {
    await served.stop();
  }
});
