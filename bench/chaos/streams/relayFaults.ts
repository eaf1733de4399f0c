import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defaultPayloadConverter } from '@temporalio/common';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import { driftTopic } from '../../../contracts/topics.js';
import type { DriftRecord } from '../../../contracts/records.js';
import { lifecycleId, SIGNAL_DRIFT, type DriftSignal } from '../../../contracts/workflows.js';
import { startTemporal } from '../../../infra/temporal.js';
import { MODEL, type StreamCluster } from './streamCluster.js';
import { requireThat, type StreamFault } from './streamFault.js';

const TOLD_MS = 60_000;
const SOURCE = 'chaos/findings';

/** Findings as the monitor writes them. */
async function report(cluster: StreamCluster, sequences: readonly number[]): Promise<void> {
  const { project } = cluster.configuration;
  await cluster.producer.send(
    sequences.map((sequence) => {
      const drift: DriftRecord = {
        model: MODEL.name,
        source: SOURCE,
        sequence,
        kind: 'performance',
        detector: 'chaos',
        version: 1,
        onset: 1,
        detectedAt: 1 + sequence,
        statistic: 2,
        threshold: 1,
        before: 0,
        after: 1,
      };
      return { topic: driftTopic(project), key: MODEL.name, value: JSON.stringify(drift) };
    }),
  );
}

/** Sequences of the findings that the model's lifecycle was told, each as often as it was. */
async function told(lifecycle: LifecycleClient, project: string): Promise<number[]> {
  const { events } = await lifecycle.temporal.workflow.getHandle(lifecycleId(project, MODEL.name)).fetchHistory();
  return (events ?? []).flatMap(({ workflowExecutionSignaledEventAttributes: signal }) => {
    const [payload] = signal?.input?.payloads ?? [];
    if (signal?.signalName !== SIGNAL_DRIFT || payload === undefined) return [];
    const drift = defaultPayloadConverter.fromPayload<DriftSignal>(payload);
    return drift.source === SOURCE ? [drift.sequence] : [];
  });
}

async function toldAll(lifecycle: LifecycleClient, project: string, wanted: readonly number[]): Promise<boolean> {
  const until = performance.now() + TOLD_MS;
  while (performance.now() < until) {
    const found = await told(lifecycle, project).catch((): number[] => []);
    if (wanted.every((sequence) => found.includes(sequence))) return true;
    await sleep(300);
  }
  return false;
}

export const RELAY_FAULTS: readonly StreamFault[] = [
  {
    family: 'relay',
    fault: 'Temporal killed while drift is reported, then restarted',
    run: async ({ cluster }) => {
      const { project } = cluster.configuration;
      const directory = join(cluster.directory, 'temporal');
      let temporal = await startTemporal({ directory });
      try {
        const { address, port, uiPort } = temporal;
        const common = { address, namespace: 'default', project };
        const from = await cluster.logs.end('relay');
        await cluster.startWorker('relay', {}, { temporalAddress: address });
        await report(cluster, [1]);
        let lifecycle = await LifecycleClient.connect(common);
        const before = await toldAll(lifecycle, project, [1]);
        await lifecycle.close();
        requireThat(before, 'nothing was relayed while Temporal was there');
        process.kill(temporal.pid, 'SIGKILL');
        await report(cluster, [2, 3, 4]);
        requireThat(
          (await cluster.logs.find('relay', /"kind":"rebuild"/, from, TOLD_MS)) !== null,
          'the relay never noticed that Temporal was away',
        );
        temporal = await startTemporal({ directory, port, uiPort });
        lifecycle = await LifecycleClient.connect(common);
        const after = await toldAll(lifecycle, project, [1, 2, 3, 4]);
        const found = await told(lifecycle, project);
        await lifecycle.close();
        requireThat(after, `the lifecycle was told ${found.join(', ')} of 4 findings`);
      } finally {
        await cluster.stopWorker('relay');
        await temporal.stop();
      }
    },
  },
];
