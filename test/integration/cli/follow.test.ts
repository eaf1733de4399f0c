import { execFile, spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { setTimeout as sleep } from 'node:timers/promises';
import { ApplicationFailure } from '@temporalio/common';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import { ERROR_CODES } from '../../../contracts/errorCodes.js';
import { lifecycleQueue, retrainId, type RetrainInput } from '../../../contracts/workflows.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { serveLifecycle } from '../../support/lifecycleWorkers.js';

const run = promisify(execFile);
const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
const project = 'followed';

/** Lets the snapshot of a slow rollout that has reached it go on. */
let release: (() => void) | null = null;
const released = async (): Promise<void> => {
  while (release === null) await sleep(20);
  release();
  release = null;
};

/** Activities that do nothing but answer; the model's name decides how the rollout ends. */
const activities = {
  validateRetrain: async (input: RetrainInput): Promise<RetrainInput> => {
    if (input.model === 'wrong') throw ApplicationFailure.nonRetryable('there is no such model', 'INPUT_INVALID');
    return input;
  },
  acquireRollout: async () => ({ answer: { kind: 'granted' }, token: 1 }),
  takeSnapshot: async (fence: { model: string }) => {
    if (fence.model === 'slow') await new Promise<void>((resolve) => (release = resolve));
    return { offsets: { transactions: {} } };
  },
  buildDataset: async () => ({ rows: 10, positives: 2, asServed: 0 }),
  judgeDataset: async (fence: { model: string }) => {
    const allowed = fence.model !== 'poor';
    return {
      allowed,
      verdicts: [{ gate: 'rows', verdict: allowed ? 'pass' : 'fail', reason: 'too few' }],
      metrics: {},
    };
  },
  fitEvaluation: async () => ({ rows: 5, positives: 1 }),
  fitRelease: async () => ({ rows: 10, parity: { maxDifference: 0 } }),
  judgeModel: async () => ({ allowed: true, verdicts: [{ gate: 'auc', verdict: 'pass', reason: '' }], metrics: {} }),
  registerVersion: async () => 7,
  planRollout: async () => ({
    predecessor: null,
    noEvidence: null,
    shadow: null,
    canary: null,
    approval: 'automatic',
    bakeMs: null,
    probation: null,
  }),
  readyFeatures: async () => undefined,
  skipStep: async () => undefined,
  endWatching: async () => undefined,
  prepareVersion: async () => ({ epoch: 1, instances: [] }),
  commitVersion: async () => 2,
  awaitActive: async () => [],
  compensateRollout: async () => undefined,
  closeRollout: async () => undefined,
};

describe('follow', () => {
  let folder: string;
  let temporal: StartedTemporal;
  let client: LifecycleClient;
  let connection: NativeConnection;
  let served: Awaited<ReturnType<typeof serveLifecycle>>;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-follow-'));
    temporal = await startTemporal({ directory: join(folder, 'temporal') });
    Runtime.install({ logger: new DefaultLogger('ERROR') });
    const { address } = temporal;
    client = await LifecycleClient.connect({ address, namespace: 'default', project });
    connection = await NativeConnection.connect({ address });
    served = await serveLifecycle({ connection, project, activities });
  });
  afterAll(async () => {
    await served.stop();
    await connection.close();
    await client.close();
    await temporal.stop();
    await rm(folder, { recursive: true });
  });

  const start = async (model: string): Promise<string> => {
    const workflowId = retrainId(project, model, `test-${Math.random().toString(36).slice(2)}`);
    await client.temporal.workflow.start('retrainModel', {
      workflowId,
      taskQueue: lifecycleQueue(project),
      args: [{ model }],
    });
    return workflowId;
  };
  const follow = (...args: string[]): ReturnType<typeof followAt> => followAt(temporal.address, ...args);
  const followAt = async (
    address: string,
    ...args: string[]
  ): Promise<{ code: number; stdout: string; stderr: string }> => {
    const env = { ...process.env, TIDEMILL_TEMPORAL: address };
    return run(process.execPath, [cli, '--home', folder, 'follow', ...args], { env }).then(
      ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
      (reason: unknown) => reason as { code: number; stdout: string; stderr: string },
    );
  };

  test('tells each step of a rollout and ends with 0 where it promoted; again after it ended', async () => {
    const workflowId = await start('good');
    const expected = [
      'lease: token 1',
      'snapshot: 1 topics archived',
      'dataset: 10 rows, 2 positives, 0 as served',
      'dataGates: rows: pass',
      'evaluationFit: 5 rows, 1 positives',
      'releaseFit: 10 rows, parity 0.0e+0',
      'gates: auc: pass',
      'register: version 7',
      'readyFeatures: the inputs are those of the champion',
      'shadow: skipped: the model declares none',
      'canary: skipped: the model declares none',
      'prepare: ready on 0 instances',
      'commit: epoch 2, active on 0 instances',
      'bake: skipped: there is no predecessor',
      'probation: skipped: there is no predecessor',
      'promoted version 7 in epoch 2',
    ];
    for (let time = 0; time < 2; time++) {
      const { code, stdout } = await follow(workflowId);
      expect(stdout.trim().split('\n')).toEqual(expected);
      expect(code).toBe(0);
    }
  });

  test('prints one JSON object for each change, and ends with 3 where the rollout did not promote', async () => {
    const { code, stdout } = await follow(await start('poor'), '--json');
    expect(code).toBe(3);
    const changes = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { kind: string; result?: unknown });
    expect(changes).toContainEqual({ kind: 'step', step: 'dataGates', result: 'rows: fail' });
    expect(changes.at(-1)).toMatchObject({
      kind: 'result',
      result: { outcome: 'notPromoted', reason: 'the data gates say no: rows fail (too few)' },
    });
  });

  test('ends with 1 where the workflow was terminated', async () => {
    const workflowId = await start('slow');
    while (release === null) await sleep(20);
    await client.temporal.workflow.getHandle(workflowId).terminate('by hand');
    await released();
    const { code, stdout } = await follow(workflowId);
    expect(stdout).toMatch(/terminated: .*by hand\n$/);
    expect(code).toBe(1);
  });

  test('ends with the exit code of its error where the workflow failed, and says what to do', async () => {
    const workflowId = await start('wrong');
    const { action, exit } = ERROR_CODES.INPUT_INVALID;
    const text = `failed: INPUT_INVALID: there is no such model\n  ${action}\n`;
    expect(await follow(workflowId)).toMatchObject({ code: exit, stdout: text });
    const { code, stdout } = await follow(workflowId, '--json');
    expect(code).toBe(exit);
    expect(JSON.parse(stdout.trim().split('\n').at(-1) ?? '')).toEqual({
      kind: 'failed',
      status: 'failed',
      code: 'INPUT_INVALID',
      message: 'there is no such model',
    });
  });

  test('interrupted, ends with 130 and lets the workflow go on', async () => {
    const workflowId = await start('slow');
    const child = spawn(process.execPath, [cli, '--home', folder, 'follow', workflowId], {
      env: { ...process.env, TIDEMILL_TEMPORAL: temporal.address },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let errors = '';
    child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()));
    const ended = new Promise((resolve) => child.once('close', resolve));
    await new Promise((resolve) => child.stdout.once('data', resolve));
    child.kill('SIGINT');
    expect(await ended).toBe(130);
    expect(errors).toContain('goes on');
    await released();
    expect(await client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
  });

  test('names a workflow that there is not, and a server that does not answer', async () => {
    const missing = await follow('followed/retrain/none');
    expect(missing).toMatchObject({ code: 1, stdout: '' });
    expect(missing.stderr).toMatch(/^WORKFLOW_NOT_FOUND: there is no workflow followed\/retrain\/none\n/);
    const silent = await followAt('127.0.0.1:1', 'followed/retrain/none');
    expect(silent).toMatchObject({ code: 5, stdout: '' });
    expect(silent.stderr).toMatch(/^TEMPORAL_UNAVAILABLE: /);
  });
});
