import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { TopologyProgress } from '../../../contracts/topologyProgress.js';
import type { TopologyReset } from '../../../contracts/topologyReset.js';
import type * as program from '../../../cli/program.js';
import { startTestKafka, type TestKafka } from '../../support/kafka.js';
import { StreamWorker, workerConfiguration } from '../../support/streamWorker.js';

const run = promisify(execFile);
const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
const projectModule = join(process.cwd(), 'dist', 'examples', 'fraud', 'project.js');

describe('stream run and stream status', () => {
  let kafka: TestKafka;
  let home: string;
  beforeAll(async () => {
    kafka = await startTestKafka();
    home = await mkdtemp(join(tmpdir(), 'tidemill-stream-'));
    const topics = ['spending.transactions', 'spending.fraud-labels'];
    await kafka.log.ensureTopics(topics.map((topic) => ({ topic, partitions: 2 })));
    const producer = await kafka.log.producer();
    const at = Date.now();
    await producer.send(
      [0, 1, 2, 3, 4].map((id) => ({
        topic: 'spending.transactions',
        partition: id === 4 ? 1 : 0,
        key: '7',
        value: JSON.stringify({ id, at: at + id, customer: 7, terminal: 9, amount: 1.5 }),
      })),
    );
    await producer.close();
    // A new broker makes its topic of group offsets when it is first asked for a group, and refuses until that is done.
    const requests = [{ topic: 'spending.transactions', partition: 0 }];
    await vi.waitFor(() => kafka.log.committed('spending.score.fraud.g1', requests), { timeout: 60_000 });
  });
  afterAll(async () => {
    await kafka.stop();
    await rm(home, { recursive: true });
  });

  const tidemill = async (...args: string[]): Promise<{ stdout: string; stderr: string }> => {
    const env = { ...process.env, TIDEMILL_KAFKA: kafka.broker };
    const common = ['--model', 'fraud', '--project', projectModule, '--project-id', 'spending'];
    return run(process.execPath, [cli, '--home', home, ...args, ...common], { env });
  };

  test('status before anything ran says so', async () => {
    const failed = await tidemill('stream', 'status', 'score').catch((reason: unknown) => reason);
    expect(failed).toMatchObject({ code: 2, stdout: '' });
    expect((failed as { stderr: string }).stderr).toMatch(/^CONFIGURATION_INVALID: .*nothing has run in TIDEMILL_HOME/);
  });

  test('run passes its arguments on, and status shows what it did', async () => {
    const { stdout } = await tidemill('stream', 'run', 'score', '--initialise', 'end');
    expect(stdout).toBe('');
    const progress = async (): Promise<TopologyProgress[]> =>
      JSON.parse((await tidemill('stream', 'status', 'score', '--json')).stdout) as TopologyProgress[];
    const requests = (await progress()).filter(({ topic }) => topic === 'spending.transactions');
    const common = { topology: 'score.fraud', group: `spending.score.fraud.g${requests[0]?.generation}` };
    expect(requests).toEqual([
      expect.objectContaining({ ...common, partition: 0, committed: 4, end: 4, lag: 0 }),
      expect.objectContaining({ ...common, partition: 1, committed: 1, end: 1, lag: 0 }),
    ]);
    const producer = await kafka.log.producer();
    await producer.send([{ topic: 'spending.transactions', partition: 1, key: '8', value: '{}' }]);
    await producer.close();
    const later = (await progress()).find(
      ({ topic, partition }) => topic === 'spending.transactions' && partition === 1,
    );
    expect(later).toMatchObject({ committed: 1, end: 2, lag: 1 });
    const table = (await tidemill('stream', 'status', 'score')).stdout;
    expect(table).toMatch(
      /^topology +generation +topic +partition +committed +end +lag +task +owner +state +watermark delay\n/,
    );
    expect(table).toMatch(/score\.fraud +\d+ +spending\.transactions +1 +1 +2 +1 +customer-1 +- +unassigned +-\n/);
  });

  test('reset asks first, starts a new generation where it is told to, and status and run then mean that one', async () => {
    const asked = await tidemill('stream', 'reset', 'score').catch((reason: unknown) => reason);
    expect(asked).toMatchObject({ code: 2, stdout: '' });
    expect((asked as { stderr: string }).stderr).toContain('pass --yes');

    const { stdout } = await tidemill('stream', 'reset', 'score', '--to', 'earliest', '--yes', '--json');
    const reset = JSON.parse(stdout) as TopologyReset;
    expect(reset).toMatchObject({ topology: 'score.fraud', generation: { from: 1, to: 2 }, applied: true });
    expect(reset.offsets.filter(({ topic }) => topic === 'spending.transactions')).toEqual([
      { topic: 'spending.transactions', partition: 0, committed: 4, start: 0, low: 0, end: 4 },
      { topic: 'spending.transactions', partition: 1, committed: 1, start: 0, low: 0, end: 2 },
    ]);
    const rows = JSON.parse((await tidemill('stream', 'status', 'score', '--json')).stdout) as TopologyProgress[];
    expect(rows.filter(({ topic }) => topic === 'spending.transactions')).toEqual([
      expect.objectContaining({ generation: 2, group: 'spending.score.fraud.g2', committed: 0, end: 4, lag: 4 }),
      expect.objectContaining({ generation: 2, group: 'spending.score.fraud.g2', committed: 0, end: 2, lag: 2 }),
    ]);
    const people = (await tidemill('stream', 'reset', 'score', '--to', 'latest', '--yes')).stdout;
    expect(people).toMatch(/^score\.fraud was reset: generation 2 to 3\n/);
    expect(people).toMatch(/spending\.transactions +0 +0 +4 +4 +4 skipped\n/);
  });

  test('reset shows a person what would change, and changes nothing unless the answer is yes', async () => {
    const { runCommandLine } = (await import(join(process.cwd(), 'dist', 'cli', 'program.js'))) as typeof program;
    const resetWith = async (answer: string): Promise<{ code: number; out: string; error: string }> => {
      const written = { out: '', error: '' };
      const args = ['--home', home, 'stream', 'reset', 'score', '--model', 'fraud', '--project', projectModule];
      const code = await runCommandLine([...args, '--project-id', 'spending'], {
        out: (text) => (written.out += `${text}\n`),
        error: (text) => (written.error += `${text}\n`),
        ask: async (question) => {
          expect(question).toMatch(/^Reset\?/);
          return answer;
        },
      });
      return { code, ...written };
    };
    vi.stubEnv('TIDEMILL_KAFKA', kafka.broker);
    try {
      const refused = await resetWith('no');
      expect(refused).toMatchObject({ code: 1, out: '' });
      expect(refused.error).toMatch(
        /^score\.fraud would be reset: generation 3 to 4\n[^]*goes on[^]*nothing was changed\n$/,
      );
      expect((await resetWith('y')).out).toMatch(/^score\.fraud was reset: generation 3 to 4\n/);
    } finally {
      vi.unstubAllEnvs();
    }
  });

  test('reset is refused while a worker runs the topology, and names it', async () => {
    const worker = new StreamWorker(workerConfiguration('spending', projectModule, kafka.broker, home), [
      '--model',
      'fraud',
      '--instance',
      'worker-7',
    ]);
    const members = (): Promise<readonly unknown[]> => kafka.log.groupMembers('spending.score.fraud.g4');
    await vi.waitFor(async () => expect(await members()).toHaveLength(1), { timeout: 60_000, interval: 200 });
    const failed = await tidemill('stream', 'reset', 'score', '--yes').catch((reason: unknown) => reason);
    expect(failed).toMatchObject({ code: 1, stdout: '' });
    expect((failed as { stderr: string }).stderr).toMatch(/^TOPOLOGY_ACTIVE: score\.fraud is run by worker-7 \(/);
    expect(await worker.stop()).toMatchObject({ code: 0 });
    expect((await tidemill('stream', 'reset', 'score', '--yes')).stdout).toContain('generation 4 to 5');
  });

  test("a worker's own failure is the command's: message, code and exit code", async () => {
    const failed = await tidemill('stream', 'status', 'nosuch').catch((reason: unknown) => reason);
    expect(failed).toMatchObject({ code: 2, stdout: '' });
    expect((failed as { stderr: string }).stderr).toContain('USAGE_INVALID: there is no topology "nosuch"');
    const ran = await tidemill('stream', 'run', 'nosuch').catch((reason: unknown) => reason);
    expect(ran).toMatchObject({ code: 2, stdout: '' });
  });
});
