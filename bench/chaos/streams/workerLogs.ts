import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** What the workers of a run have logged: each in a file of its own, over all of its lives. */
export class WorkerLogs {
  constructor(private readonly folder: string) {}

  fileOf(worker: string): string {
    return join(this.folder, `${worker}.log`);
  }

  /** Where a worker's log ends now: `find` looks from there. */
  async end(worker: string): Promise<number> {
    return (await this.textOf(worker)).length;
  }

  /** Waits until a worker has logged something, for so long at most. @returns the line; null where there was none. */
  find(worker: string, pattern: RegExp, from: number, withinMs: number): Promise<string | null> {
    return this.findAny({ [worker]: from }, pattern, withinMs);
  }

  /** The same, whichever of several workers says it. @param from by worker. */
  async findAny(from: Readonly<Record<string, number>>, pattern: RegExp, withinMs: number): Promise<string | null> {
    const until = performance.now() + withinMs;
    for (;;) {
      for (const [worker, at] of Object.entries(from)) {
        const lines = (await this.textOf(worker)).slice(at).split('\n');
        const line = lines.find((each) => pattern.test(each));
        if (line !== undefined) return line;
      }
      if (performance.now() > until) return null;
      await sleep(100);
    }
  }

  private async textOf(worker: string): Promise<string> {
    return readFile(this.fileOf(worker), 'utf8').catch(() => '');
  }
}
