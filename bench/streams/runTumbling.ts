import { spawn, type ChildProcess } from 'node:child_process';
import { readFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { environmentOf, type Configuration } from '../../contracts/configuration.js';
import { groupId, streamTopic, type TopologyIdentity } from '../../contracts/topics.js';
import type { Log } from '../../stores/log/log.js';
import { CLOSING_USER, expectedTumbling, WINDOW_MS, type TumblingOptions } from './tumblingEvents.js';
import { orders, perUser } from './tumblingProject.js';

const POLL_MS = 20;
/** Clock ticks of /proc/PID/stat in a second: the same on every Linux that Node runs on. */
const TICKS_PER_SECOND = 100;

export interface TumblingRun {
  readonly records: number;
  /** From the start of the process to the commit of the last record. */
  readonly seconds: number;
  /** From the worker's word that it runs to the same. */
  readonly runningSeconds: number;
  /** By `runningSeconds`. */
  readonly eventsPerSecond: number;
  /** User and system time of the worker process, its start included. */
  readonly cpuSeconds: number;
  readonly peakMemoryMb: number;
  readonly resultsTopic: string;
}

/** Topics that a run reads and writes. */
export function tumblingTopics(project: string): { readonly source: string; readonly results: string } {
  return { source: streamTopic(project, orders.compiled.name), results: streamTopic(project, perUser.compiled.to) };
}

/**
 * Runs the benchmark's windows as one real worker process (compiled, in dist/) over a topic that was filled before, until
 * everything is committed; Linux only. The results stay in their topic.
 *
 * @param configuration `projectModule` is set here.
 */
export async function runTumbling(log: Log, configuration: Configuration): Promise<TumblingRun> {
  const { project } = configuration;
  const { source, results } = tumblingTopics(project);
  const identity: TopologyIdentity = { project, name: `window.${perUser.compiled.name}`, generation: 1 };
  const ends = await log.offsets(source);
  const projectModule = fileURLToPath(new URL('./tumblingProject.js', import.meta.url));
  const started = performance.now();
  const child = spawn(
    process.execPath,
    [
      fileURLToPath(new URL('../../workers/stream.js', import.meta.url)),
      '--topologies',
      identity.name,
      '--instance',
      'bench',
    ],
    {
      env: { ...process.env, ...environmentOf({ ...configuration, projectModule }) },
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  );
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()));
  try {
    const running = await saysThatItRuns(child);
    for (;;) {
      const places = ends.map(({ partition }) => ({ topic: source, partition }));
      const committed = await log.committed(groupId(identity), places);
      if (ends.every(({ high }, at) => (committed[at]?.offset ?? 0) >= high)) break;
      if (child.exitCode !== null) throw new Error(`the worker ended with ${child.exitCode}`);
      await sleep(POLL_MS);
    }
    const finished = performance.now();
    const records = ends.reduce((sum, { low, high }) => sum + high - low, 0);
    return {
      records,
      seconds: (finished - started) / 1_000,
      runningSeconds: (finished - running) / 1_000,
      eventsPerSecond: Math.round(records / ((finished - running) / 1_000)),
      cpuSeconds: await cpuSecondsOf(child.pid as number),
      peakMemoryMb: await peakMemoryOf(child.pid as number),
      resultsTopic: results,
    };
  } finally {
    child.kill('SIGTERM');
    await ended;
  }
}

/** When the worker logged that it runs. */
async function saysThatItRuns(child: ChildProcess): Promise<number> {
  let text = '';
  return new Promise((resolve, reject) => {
    child.once('close', (code) => reject(new Error(`the worker ended with ${code}: ${text}`)));
    child.stdout?.on('data', (chunk: Buffer) => {
      text = (text + chunk.toString()).slice(-10_000);
      if (text.includes('"msg":"running"')) resolve(performance.now());
    });
  });
}

async function cpuSecondsOf(pid: number): Promise<number> {
  const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
  // Behind the name, which may hold spaces: state is the third field, user and system time the 14th and 15th.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return (Number(fields[11]) + Number(fields[12])) / TICKS_PER_SECOND;
}

async function peakMemoryOf(pid: number): Promise<number> {
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  return Math.round(Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1_024);
}

/** Compares the results of a run with a batch over the same events; gives the first few differences. */
export async function checkTumbling(
  log: Log,
  topic: string,
  options: TumblingOptions,
): Promise<{ results: number; findings: string[] }> {
  const expected = expectedTumbling(options);
  const findings: string[] = [];
  const find = (text: string): void => void (findings.length < 10 && findings.push(text));
  let results = 0;
  for (const { partition, low, high } of await log.offsets(topic)) {
    for await (const batch of log.read({ topic, partition, from: low, to: high })) {
      for (const { value } of batch) {
        const result = JSON.parse(String(value)) as Record<
          'key' | 'start' | 'end' | 'revision' | 'count' | 'sum' | 'mean' | 'max',
          number
        >;
        if (result.key === CLOSING_USER) continue;
        results++;
        const window = `${result.key} ${result.start}`;
        const wanted = expected.get(window);
        if (wanted === undefined) {
          find(`${window}: told again, or made up`);
          continue;
        }
        expected.delete(window);
        const found = [result.count, result.sum, result.mean, result.max, result.end, result.revision];
        const { count, cents, max } = wanted;
        const right = [count, cents / 100, cents / (count * 100), max / 100, result.start + WINDOW_MS, 0];
        if (found.some((each, at) => each !== right[at]))
          find(`${window}: ${found.join(' ')} instead of ${right.join(' ')}`);
      }
    }
  }
  if (expected.size > 0) find(`${expected.size} windows are missing`);
  return { results, findings };
}
