import { spawn, type ChildProcess } from 'node:child_process';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach } from 'vitest';
import { environmentOf, type Configuration } from '../../contracts/configuration.js';
import { onlineStoreIn } from '../../contracts/onlineAddress.js';
import { registryIn } from '../../contracts/registryAddress.js';

/** Settings of workers of the fraud project. */
export function fraudConfiguration(project: string, broker: string, home: string): Configuration {
  return workerConfiguration(project, exampleModule('fraud'), broker, home);
}

/** The compiled project of an example. */
export function exampleModule(name: 'fraud' | 'sales'): string {
  return join(process.cwd(), 'dist', 'examples', name, 'project.js');
}

/** Settings of workers that need no Temporal; everything of theirs is below `home`. */
export function workerConfiguration(
  project: string,
  projectModule: string,
  broker: string,
  home: string,
): Configuration {
  return {
    project,
    projectModule,
    kafkaBrokers: [broker],
    temporalAddress: '127.0.0.1:1',
    temporalNamespace: 'default',
    home,
    registry: registryIn(home),
    online: onlineStoreIn(home),
  };
}

const running = new Set<StreamWorker>();
// What the workers of a test said explains why it failed, or waited in vain.
afterEach(({ task }) => {
  if (task.result?.state !== 'fail') return;
  for (const { lines } of running) console.error(lines.slice(-30).map((line) => JSON.stringify(line)));
});
afterAll(async () => {
  for (const worker of running) await worker.kill();
});

/** A stream worker as a process of its own, which does not outlive the file's tests. */
export class StreamWorker {
  readonly lines: Record<string, unknown>[] = [];
  private readonly child: ChildProcess;
  private readonly ended: Promise<{ code: number | null; signal: string | null }>;

  constructor(configuration: Configuration, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
    this.child = spawn(process.execPath, [join(process.cwd(), 'dist', 'workers', 'stream.js'), ...args], {
      env: { ...process.env, ...environmentOf(configuration), ...env },
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    let rest = '';
    this.child.stdout?.on('data', (chunk: Buffer) => {
      const parts = (rest + chunk.toString()).split('\n');
      rest = parts.pop() ?? '';
      for (const line of parts) if (line.startsWith('{')) this.lines.push(JSON.parse(line) as Record<string, unknown>);
    });
    running.add(this);
    this.ended = new Promise((resolve) =>
      this.child.once('close', (code, signal) => {
        running.delete(this);
        resolve({ code, signal });
      }),
    );
  }

  /** kill -9. */
  async kill(): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }

  /** SIGTERM, and waits for the end. */
  async stop(): Promise<{ code: number | null; signal: string | null }> {
    this.child.kill('SIGTERM');
    return this.ended;
  }

  async end(): Promise<{ code: number | null; signal: string | null }> {
    return this.ended;
  }

  /** Waits until it runs. @throws Error with its last lines where it ended instead. */
  async up(): Promise<void> {
    await this.said(({ msg }) => msg === 'running');
  }

  /** Waits until it has a task. @throws Error with its last lines where it ended instead. */
  async recovered(): Promise<void> {
    await this.said(({ kind }) => kind === 'recovered');
  }

  private async said(isIt: (line: Record<string, unknown>) => boolean): Promise<void> {
    while (!this.lines.some(isIt)) {
      this.requireRunning();
      await sleep(50);
    }
  }

  /** @throws Error with its last lines where it has ended. */
  requireRunning(): void {
    if (!this.isRunning) throw new Error(`the worker ended: ${JSON.stringify(this.lines.slice(-5))}`);
  }

  get isRunning(): boolean {
    return this.child.exitCode === null && this.child.signalCode === null;
  }
}
