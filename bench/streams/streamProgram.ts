import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../stores/log/log.js';
import { usageOf } from './processTree.js';

const POLL_MS = 20;
const RUN_LIMIT_MS = 20 * 60_000;
const STOP_BUDGET_MS = 20_000;

/** One stream processor that answers the benchmark's query: Tidemill, or one of its peers. */
export interface StreamProgram {
  readonly name: string;
  readonly version: string;
  readonly guarantee: 'exactly-once' | 'at-least-once';
  /** Threads or processes that it runs as on two cores, whichever it scales by. */
  readonly workers: number;
  readonly workersAre: 'threads' | 'processes';
  /** What was set besides, in the program's own words. */
  readonly settings: Readonly<Record<string, string>>;
  /**
   * Fetches and compiles what it needs.
   *
   * @throws where it cannot be had: the benchmark then says so and goes on without it.
   */
  prepare(say: (text: string) => void): Promise<(place: RunPlace) => Promise<Launch>>;
}

/** Where a run reads and writes. */
export interface RunPlace {
  /** Prefix of every topic and group of the run; project id of Tidemill. */
  readonly project: string;
  readonly broker: string;
  readonly source: string;
  readonly partitions: number;
  readonly workers: number;
  /** Empty folder for state. */
  readonly directory: string;
}

/** The processes of one run. Each says `"msg":"running"` on its standard output once it takes records. */
export interface Launch {
  readonly processes: readonly {
    readonly program: string;
    readonly args: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  }[];
  readonly results: string;
  /** Whose committed offsets tell that all is done; null: each process says `"msg":"finished"`. */
  readonly group: string | null;
}

export interface ProgramRun {
  /** From the first word that a process takes records to the commit of the last result. */
  readonly seconds: number;
  /** Of all processes and their children, in these seconds. */
  readonly cpuSeconds: number;
  /** Of all processes and their children, from their start. */
  readonly peakMb: number;
  /** From the start of the processes to their first word. */
  readonly startSeconds: number;
  readonly startCpuSeconds: number;
}

/** Runs the processes over a topic that was filled before, until all of it is answered and committed; Linux only. */
export async function measureProgram(log: Log, source: string, launch: Launch): Promise<ProgramRun> {
  const ends = await log.offsets(source);
  const places = ends.map(({ partition }) => ({ topic: source, partition }));
  const started = performance.now();
  const children = launch.processes.map((each) => new Talker(each.program, each.args, each.env));
  const pids = children.map(({ pid }) => pid);
  const isDone = async (): Promise<boolean> => {
    if (launch.group === null) return children.every((child) => child.said('finished'));
    const committed = await log.committed(launch.group, places);
    return ends.every(({ high }, at) => (committed[at]?.offset ?? 0) >= high);
  };
  const deadline = started + RUN_LIMIT_MS;
  const until = async (is: () => boolean | Promise<boolean>): Promise<void> => {
    while (!(await is())) {
      for (const child of children) child.requireRunning();
      if (performance.now() > deadline) throw new Error(`not done after ${RUN_LIMIT_MS / 1_000} s`);
      await sleep(POLL_MS);
    }
  };
  try {
    await until(() => children.some((child) => child.said('running')));
    const running = Math.min(...children.map((child) => child.saidAt('running')));
    const before = await usageOf(pids);
    await until(isDone);
    const done =
      launch.group === null ? Math.max(...children.map((child) => child.saidAt('finished'))) : performance.now();
    const after = await usageOf(pids);
    return {
      seconds: (done - running) / 1_000,
      cpuSeconds: after.cpuSeconds - before.cpuSeconds,
      peakMb: after.peakMb,
      startSeconds: (running - started) / 1_000,
      startCpuSeconds: before.cpuSeconds,
    };
  } finally {
    await Promise.all(children.map((child) => child.stop()));
  }
}

/** A child process, and when it said what. */
class Talker {
  private readonly child: ChildProcess;
  private readonly ended: Promise<void>;
  private readonly words = new Map<string, number>();
  private line = '';
  private tail = '';

  constructor(program: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(program, args, { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
    this.ended = new Promise((resolve) => this.child.once('close', () => resolve()));
    this.child.once('error', (error) => (this.tail += error.message));
    this.child.stdin?.on('error', () => undefined);
    this.child.stderr?.on('data', (chunk: Buffer) => this.keep(chunk));
    this.child.stdout?.on('data', (chunk: Buffer) => this.listen(chunk));
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  said(word: string): boolean {
    return this.words.has(word);
  }

  /** Time by `performance.now()`; infinite where it has not been said. */
  saidAt(word: string): number {
    return this.words.get(word) ?? Number.POSITIVE_INFINITY;
  }

  requireRunning(): void {
    if (this.child.exitCode === null && this.child.signalCode === null && this.pid > 0) return;
    throw new Error(`it ended by itself (${this.child.exitCode ?? this.child.signalCode}): ${this.tail.trim()}`);
  }

  async stop(): Promise<void> {
    if (this.pid === 0) return;
    this.child.stdin?.end();
    if (this.child.exitCode === null) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_BUDGET_MS);
    await this.ended;
    clearTimeout(timer);
  }

  private listen(chunk: Buffer): void {
    const now = performance.now();
    this.keep(chunk);
    const lines = (this.line + chunk.toString()).split('\n');
    this.line = lines.pop() ?? '';
    for (const line of lines) {
      const word = /"msg":"(running|finished)"/.exec(line)?.[1];
      if (word !== undefined && !this.words.has(word)) this.words.set(word, now);
    }
  }

  private keep(chunk: Buffer): void {
    this.tail = (this.tail + chunk.toString()).slice(-2_000);
  }
}
