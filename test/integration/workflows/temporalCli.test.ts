import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { LifecycleClient } from '../../../client/lifecycleClient.js';
import { environmentOf, type Configuration } from '../../../contracts/configuration.js';
import type { LifecycleStatus, RetrainResult, RetrainStatus } from '../../../contracts/workflows.js';
import { findTemporal } from '../../../infra/findTemporal.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { openRegistry } from '../../../stores/registry/openRegistry.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { fraudConfiguration } from '../../support/streamWorker.js';

const run = promisify(execFile);
const project = 'clitest';
const queue = `${project}/tidemill-lifecycle`;

describe('the lifecycle from the Temporal command line', () => {
  let kafka: TestKafka;
  let temporal: StartedTemporal;
  let worker: ChildProcess;
  let program: string;
  let configuration: Configuration;

  beforeAll(async () => {
    kafka = await startTestKafka();
    temporal = await startTemporal({ directory: join(kafka.directory, 'temporal') });
    program = await findTemporal();
    await kafka.log.ensureTopics(
      ['transactions', 'fraud-labels', 'fraud.outcomes', 'archive'].map((name) => ({
        topic: `${project}.${name}`,
        partitions: 2,
      })),
    );
    const producer = await kafka.log.producer();
    // Not archived by anybody: a rollout waits at its snapshot.
    await producer.send([{ topic: `${project}.transactions`, key: '1', value: '{}' }]);
    await producer.close();
    configuration = {
      ...fraudConfiguration(project, kafka.broker, join(kafka.directory, 'home')),
      temporalAddress: temporal.address,
    };
    worker = spawn(process.execPath, [join(process.cwd(), 'dist', 'workers', 'lifecycle.js')], {
      env: { ...process.env, ...environmentOf(configuration) },
      stdio: ['ignore', 'ignore', 'inherit'],
    });
  });
  afterAll(async () => {
    const ended = new Promise((resolve) => worker.once('close', resolve));
    worker.kill('SIGTERM');
    await ended;
    await temporal.stop();
    await kafka.stop();
  });

  const cli = async (...args: string[]): Promise<string> =>
    (await run(program, [...args, '--address', temporal.address, '-o', 'json'], { maxBuffer: 2 ** 24 })).stdout;
  const query = async <T>(workflowId: string): Promise<T> => {
    const answer = JSON.parse(await cli('workflow', 'query', '--workflow-id', workflowId, '--type', 'status')) as {
      queryResult: [T];
    };
    return answer.queryResult[0];
  };

  test.each([
    ['retrainModel', ['--input', '{"modle":"fraud"}']],
    ['rollbackModel', []],
    ['rollbackModel', ['--input', 'null']],
    ['recoverRollout', []],
  ])('an input that is wrong is refused by name: %s %j', async (type, input) => {
    const failed = await run(program, [
      ...['workflow', 'execute', '--address', temporal.address, '--task-queue', queue, '--type', type],
      ...['--workflow-id', `${project}/wrong/${type}/${input.length}`, ...input],
    ]).catch((error: unknown) => error as { stdout: string; stderr: string });
    expect(`${failed.stdout}${failed.stderr}`).toMatch(/INPUT_INVALID.*model/s);
  });

  test('a rollout starts from one JSON object, shows its steps, and undoes itself when it is cancelled', async () => {
    const workflowId = `${project}/retrain/fraud/by-hand`;
    await cli(
      'workflow',
      'start',
      '--task-queue',
      queue,
      '--type',
      'retrainModel',
      '--workflow-id',
      workflowId,
      '--input',
      '{"model":"fraud"}',
    );
    let status: RetrainStatus | null = null;
    while (status?.phase !== 'snapshot') {
      await sleep(300);
      status = await query<RetrainStatus>(workflowId).catch(() => null);
    }
    expect(status).toMatchObject({ model: 'fraud', token: 1, trigger: 'manual' });
    expect((await query<LifecycleStatus>(`${project}/lifecycle/fraud`)).rollout).toMatchObject({ workflowId });

    await cli('workflow', 'cancel', '--workflow-id', workflowId);
    const { result } = JSON.parse(await cli('workflow', 'result', '--workflow-id', workflowId)) as {
      result: RetrainResult;
    };
    expect(result).toMatchObject({ outcome: 'notPromoted', version: null, reason: 'cancelled' });
    const registry = await openRegistry(configuration);
    expect(await registry.rollout('fraud', 1)).toMatchObject({ outcome: 'not promoted' });
    expect((await registry.journal('fraud', 1)).map(({ step }) => step)).toEqual(['lease', 'snapshot']);
    await registry.close();
    while ((await query<LifecycleStatus>(`${project}/lifecycle/fraud`)).rollout !== null) await sleep(200);
  });

  test('a finding signalled twice opens one case, which waits for labels', async () => {
    const finding = '{"source":"by-hand","sequence":1,"version":1,"onset":1528416000000,"detectedAt":1529020800000}';
    for (let at = 0; at < 2; at++) {
      await cli(
        'workflow',
        'signal',
        '--workflow-id',
        `${project}/lifecycle/fraud`,
        '--name',
        'driftDetected',
        '--input',
        finding,
      );
    }
    let status = await query<LifecycleStatus>(`${project}/lifecycle/fraud`);
    while (status.cases[0]?.state !== 'waiting-for-labels') {
      await sleep(200);
      status = await query<LifecycleStatus>(`${project}/lifecycle/fraud`);
    }
    expect(status.cases).toHaveLength(1);
    expect(status.cases[0]).toMatchObject({ source: 'by-hand', findings: 1 });
  });

  test('a lifecycle continues as new under many signals, and forgets none of them', { timeout: 120_000 }, async () => {
    const signals = 3_000;
    const lifecycle = await LifecycleClient.connect({ address: temporal.address, namespace: 'default', project });
    const handle = lifecycle.temporal.workflow.getHandle(`${project}/lifecycle/fraud`);
    const { runId } = await handle.describe();
    for (let from = 1; from <= signals; from += 50) {
      await Promise.all(
        Array.from({ length: 50 }, (_, at) =>
          lifecycle.signalDrift('fraud', {
            source: 'many',
            sequence: from + at,
            version: 1,
            onset: 1_528_416_000_000,
            detectedAt: 1_529_020_800_000,
          }),
        ),
      );
    }
    let status = await query<LifecycleStatus>(`${project}/lifecycle/fraud`);
    const found = (): number | undefined => status.cases.find(({ source }) => source === 'many')?.findings;
    while (found() !== signals) {
      await sleep(200);
      status = await query<LifecycleStatus>(`${project}/lifecycle/fraud`);
    }
    const after = await handle.describe();
    expect(after.runId).not.toBe(runId);
    expect(after.historyLength).toBeLessThan(2_000);
    await lifecycle.close();
  });

  test('an update asks for a retrain and names its workflow', async () => {
    const answer = await cli(
      'workflow',
      'update',
      'execute',
      '--workflow-id',
      `${project}/lifecycle/fraud`,
      '--name',
      'requestRetrain',
      '--input',
      '{"requestedBy":"me"}',
    );
    const [workflowId] = /clitest\/retrain\/fraud\/requested-[0-9a-f]+-1/.exec(answer) ?? [];
    expect(workflowId).toBeDefined();
    await cli('workflow', 'cancel', '--workflow-id', workflowId as string);
    expect(await cli('workflow', 'result', '--workflow-id', workflowId as string)).toContain('cancelled');
  });
});
