import { execFile } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { environmentOf } from '../../../contracts/configuration.js';
import { HOUR_MS } from '../../../contracts/duration.js';
import { messageOf } from '../../../contracts/errors.js';
import { lifecycleId, lifecycleQueue, SIGNAL_CLOSED, SIGNAL_DRIFT } from '../../../contracts/workflows.js';
import { findTemporal } from '../../../infra/findTemporal.js';
import { MODEL } from './cluster.js';
import { outcomeOf, reached, retrain, type RolloutFault } from './rolloutSteps.js';

const run = promisify(execFile);
const TIDEMILL = fileURLToPath(new URL('../../../cli/main.js', import.meta.url));
/** Nothing is ever labelled after it: a case that waits for it begins nothing. */
const FAR_FUTURE = Date.parse('9999-01-01T00:00:00Z');

export const MESSAGE_FAULTS: readonly RolloutFault[] = [
  {
    step: 'lease',
    fault: 'tidemill retrain twice at once',
    promotions: 2,
    outcomes: ['promoted and promoted'],
    run: async ({ configuration, lifecycle }) => {
      const env = { ...process.env, ...environmentOf(configuration) };
      const begun = await Promise.all(
        [1, 2].map(() => run(process.execPath, [TIDEMILL, 'retrain', MODEL, '--json'], { env })),
      );
      const ids = begun.map(({ stdout }) => (JSON.parse(stdout) as { workflowId: string }).workflowId);
      if (ids[0] === ids[1]) throw new Error(`both are ${ids[0]}`);
      const results = await Promise.all(ids.map((workflowId) => lifecycle.retrainResult(workflowId)));
      return results.map(outcomeOf).join(' and ');
    },
  },
  {
    step: 'lease',
    fault: 'started from the Temporal command line twice under one id',
    outcomes: ['promoted'],
    run: async ({ configuration, lifecycle }, id) => {
      const { temporalAddress, project } = configuration;
      const program = await findTemporal();
      const workflowId = `${project}/by-hand/${id}`;
      const input = JSON.stringify({ model: MODEL });
      const start = (): Promise<unknown> =>
        run(program, [
          ...['workflow', 'start', '--address', temporalAddress, '--task-queue', lifecycleQueue(project)],
          ...['--type', 'retrainModel', '--workflow-id', workflowId, '--input', input],
        ]);
      const { runId } = await start().then(() => lifecycle.temporal.workflow.getHandle(workflowId).describe());
      // The command answers with the run that there is, or refuses; neither starts another one.
      await start().catch((error: unknown) => {
        if (!/already/i.test(messageOf(error))) throw error;
      });
      const outcome = outcomeOf(await lifecycle.retrainResult(workflowId));
      if ((await lifecycle.temporal.workflow.getHandle(workflowId).describe()).runId !== runId)
        throw new Error('there was a second run');
      return outcome;
    },
  },
  {
    step: 'lease',
    fault: 'begun by drift, the lifecycle worker killed meanwhile',
    outcomes: ['promoted'],
    run: async (cluster, id) => {
      const { lifecycle, traffic } = cluster;
      const source = `drift/${id}`;
      const isIn = async (state: string): Promise<string | null> => {
        const status = await lifecycle.lifecycleStatus(MODEL).catch(() => null);
        const found = status?.cases.find((each) => each.source === source && each.state === state);
        return found?.note ?? null;
      };
      const onset = traffic.at - 6 * HOUR_MS;
      await lifecycle.signalDrift(MODEL, { source, sequence: 1, version: 1, onset, detectedAt: traffic.at });
      while ((await isIn('training')) === null) await sleep(100);
      await cluster.worker('lifecycle').kill();
      await cluster.startLifecycle();
      let note: string | null = null;
      for (; note === null; note = await isIn('decided')) await sleep(100);
      return note.startsWith('promoted') ? 'promoted' : note;
    },
  },
  {
    step: 'canary',
    fault: 'signals out of order',
    outcomes: ['promoted'],
    run: async (cluster, id) => {
      const { lifecycle, configuration, traffic } = cluster;
      const workflowId = await retrain(cluster, id);
      // Granted before it has asked, and again once it holds the lease.
      await lifecycle.grantRollout(workflowId);
      await reached(cluster, workflowId, 'canary');
      await lifecycle.grantRollout(workflowId);
      const handle = lifecycle.temporal.workflow.getHandle(lifecycleId(configuration.project, MODEL));
      const source = `chaos/${id}`;
      for (const sequence of [3, 1, 3, 2, 1, 4]) {
        const found = { source, sequence, version: 1, onset: FAR_FUTURE, detectedAt: traffic.at };
        await handle.signal(SIGNAL_DRIFT, found);
      }
      // Said before it is so: the holder goes on, and its own word later changes nothing.
      await handle.signal(SIGNAL_CLOSED, { workflowId, outcome: 'promoted', at: null });
      await handle.signal(SIGNAL_CLOSED, { workflowId, outcome: 'promoted', at: null });
      const outcome = outcomeOf(await lifecycle.retrainResult(workflowId));
      const known = (await lifecycle.lifecycleStatus(MODEL)).cases.filter((each) => each.source === source);
      if (known.length !== 1 || known[0]?.findings !== 4)
        throw new Error(`four findings became ${JSON.stringify(known)}`);
      return outcome;
    },
  },
];
