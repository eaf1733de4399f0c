import { spawn } from 'node:child_process';
import { join } from 'node:path';

/** A program of dist/ that runs as a process of its own. */
export interface TestProgram {
  readonly hasFailed: () => boolean;
  /** The end of what it said. */
  readonly lastLines: () => string;
  /** kill -9. */
  kill(): Promise<void>;
  /** SIGTERM, and waits for the end. */
  stop(): Promise<void>;
  /** Waits for a program that ends by itself, well. */
  end(): Promise<void>;
}

export function startProgram(
  module: string,
  args: readonly string[],
  environment: Readonly<Record<string, string>>,
): TestProgram {
  const child = spawn(process.execPath, [join(process.cwd(), 'dist', module), ...args], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  let isAskedTo = false;
  for (const output of [child.stdout, child.stderr])
    output.on('data', (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-4_000);
    });
  const ended = new Promise<number | null>((resolve) => child.once('close', (code) => resolve(code)));
  const hasEnded = (): boolean => child.exitCode !== null || child.signalCode !== null;
  const signal = async (name: 'SIGTERM' | 'SIGKILL'): Promise<void> => {
    isAskedTo = true;
    if (!hasEnded()) child.kill(name);
    await ended;
  };
  return {
    hasFailed: () => hasEnded() && !isAskedTo,
    lastLines: () => said,
    kill: () => signal('SIGKILL'),
    stop: () => signal('SIGTERM'),
    end: async () => {
      isAskedTo = true;
      const code = await ended;
      if (code !== 0) throw new Error(`${module} ended with ${code}: ${said}`);
    },
  };
}
