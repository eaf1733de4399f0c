import { spawn, type ChildProcess } from 'node:child_process';
import { createWriteStream, type WriteStream } from 'node:fs';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { environmentOf, type Configuration } from '../../../contracts/configuration.js';
import { WORKER_FLAGS } from '../../../infra/workerFlags.js';

const STOP_BUDGET_MS = 30_000;

/** One worker of the demo as a process of its own, its log in a file. */
export class WorkerProcess {
  private readonly child: ChildProcess;
  private readonly log: WriteStream;
  private readonly ended: Promise<number | null>;
  private last = '';

  private constructor(
    readonly name: string,
    file: string,
    args: readonly string[],
    configuration: Configuration,
    readonly logFile: string,
    env: Readonly<Record<string, string>>,
  ) {
    this.log = createWriteStream(logFile, { flags: 'a' });
    this.child = spawn(process.execPath, [...WORKER_FLAGS, file, ...args], {
      env: { ...process.env, ...environmentOf(configuration), ...env },
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    for (const stream of [this.child.stdout, this.child.stderr]) {
      stream?.on('data', (chunk: Buffer) => {
        this.log.write(chunk);
        this.last = (this.last + chunk.toString()).slice(-2_000);
      });
    }
    this.ended = new Promise((resolve) => this.child.once('close', (code) => resolve(code)));
  }

  /** @param module path below `dist`, like `workers/stream.js`. */
  static async start(
    name: string,
    module: string,
    args: readonly string[],
    configuration: Configuration,
    logFile: string,
    env: Readonly<Record<string, string>> = {},
  ): Promise<WorkerProcess> {
    await mkdir(dirname(logFile), { recursive: true });
    const file = fileURLToPath(new URL(`../../../${module}`, import.meta.url));
    return new WorkerProcess(name, file, args, configuration, logFile, env);
  }

  get pid(): number {
    return this.child.pid ?? 0;
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }

  /** The signal that ended the process; null where it runs, or ended by itself. */
  get endedBy(): NodeJS.Signals | null {
    return this.child.signalCode;
  }

  /** What the process ended with by itself; null where it runs, or a signal ended it. */
  get exitCode(): number | null {
    return this.child.exitCode;
  }

  /** Fails where the worker ended although nobody asked it to. */
  requireRunning(): void {
    if (!this.isRunning)
      throw new Error(`${this.name} ended by itself; the end of ${this.logFile}:\n${this.last.slice(-1_000)}`);
  }

  /** CPU seconds that the process has used; 0 where the system does not tell. */
  async cpuSeconds(): Promise<number> {
    const stat = await readFile(`/proc/${this.child.pid}/stat`, 'utf8').catch(() => '');
    const columns = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // utime and stime, in hundredths of a second.
    return (Number(columns[11] ?? 0) + Number(columns[12] ?? 0)) / 100;
  }

  /** Memory that the process holds, MB; 0 where the system does not tell. */
  async memoryMb(): Promise<number> {
    const status = await readFile(`/proc/${this.child.pid}/status`, 'utf8').catch(() => '');
    return Math.round(Number(/VmRSS:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1_024);
  }

  /** SIGSTOP freezes the process as a pause of the machine would, SIGCONT wakes it. */
  signal(name: 'SIGSTOP' | 'SIGCONT' | 'SIGUSR2'): void {
    this.child.kill(name);
  }

  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** SIGTERM, and SIGKILL where the process does not end within its own budget. */
  async stop(): Promise<void> {
    if (this.isRunning) this.child.kill('SIGTERM');
    const timer = setTimeout(() => this.child.kill('SIGKILL'), STOP_BUDGET_MS);
    await this.ended;
    clearTimeout(timer);
    this.log.end();
  }

  /** Waits for a process that ends by itself. */
  async end(): Promise<void> {
    const code = await this.ended;
    if (code !== 0)
      throw new Error(`${this.name} ended with ${code}; the end of ${this.logFile}:\n${this.last.slice(-1_000)}`);
  }
}
