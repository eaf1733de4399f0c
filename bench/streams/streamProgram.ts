import { spawn, type ChildProcess } from 'node:child_process';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Log } from '../../stores/log/log.js';
import { usageOf, type Usage } from './processTree.js';

const POLL_MS = 20;
const START_LIMIT_MS = 2 * 60_000;
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

/** The processes of one run. Each tells how far it is by lines with `"msg":"WORD"` on its standard output. */
export interface Launch {
  readonly processes: readonly {
    readonly program: string;
    readonly args: readonly string[];
    readonly env?: Readonly<Record<string, string>>;
  }[];
  /** Word of a process that takes records from now on. */
  readonly startWord: string;
  readonly results: string;
  /** Whose committed offsets tell that all is done; null: each process says `finished`. */
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

/**
 * Runs the processes over a topic that was filled before, until all of it is answered and committed; Linux only.
 *
 * @param signal ends the processes before that.
 */
export async function measureProgram(
  log: Log,
  source: string,
  launch: Launch,
  signal: AbortSignal,
): Promise<ProgramRun> {
  const ends = await log.offsets(source);
  const places = ends.map(({ partition }) => ({ topic: source, partition }));
  const started = performance.now();
  let first: { readonly at: number; readonly usage: Usage } | null = null;
  const onWord = (word: string, at: number): void => {
    if (word === launch.startWord) first ??= { at, usage: usageOf(pids) };
  };
  const children = launch.processes.map((each) => new Talker(each.program, each.args, each.env, onWord));
  const pids = children.map(({ pid }) => pid);
  const isDone = async (): Promise<boolean> => {
    if (launch.group === null) return children.every((child) => child.said('finished'));
    const committed = await log.committed(launch.group, places);
    return ends.every(({ high }, at) => (committed[at]?.offset ?? 0) >= high);
  };
  const until = async (is: () => boolean | Promise<boolean>, limitMs: number): Promise<void> => {
    for (const deadline = performance.now() + limitMs; !(await is());) {
      signal.throwIfAborted();
      for (const child of children) child.requireRunning();
      if (performance.now() > deadline)
        throw new Error(`no end after ${limitMs / 1_000} s: ${children.map(({ lastWords }) => lastWords).join('\n')}`);
      await sleep(POLL_MS);
    }
  };
  try {
    await until(() => first !== null, START_LIMIT_MS);
    const { at: running, usage: before } = first as unknown as { at: number; usage: Usage };
    await until(isDone, RUN_LIMIT_MS);
    const done =
      launch.group === null ? Math.max(...children.map((child) => child.saidAt('finished'))) : performance.now();
    const after = usageOf(pids);
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

  constructor(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
    private readonly onWord: (word: string, at: number) => void,
  ) {
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

  get lastWords(): string {
    return this.tail.trim();
  }

  requireRunning(): void {
    if (this.child.exitCode === null && this.child.signalCode === null && this.pid > 0) return;
    throw new Error(`it ended by itself (${this.child.exitCode ?? this.child.signalCode}): ${this.lastWords}`);
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
      const word = /"msg":"(\w+)"/.exec(line)?.[1];
      if (word === undefined || this.words.has(word)) continue;
      this.words.set(word, now);
      this.onWord(word, now);
    }
  }

  private keep(chunk: Buffer): void {
    this.tail = (this.tail + chunk.toString()).slice(-2_000);
  }
}
