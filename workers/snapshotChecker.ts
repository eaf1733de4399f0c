import { fork, type ChildProcess } from 'node:child_process';
import { existsSync } from 'node:fs';
import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { RuntimeOptions } from '../streams/runtime/taskContext.js';
import { SnapshotStore } from '../streams/runtime/snapshotStore.js';

/** Without a word for so long the check hangs in the file. */
const SILENCE_MS = 10_000;

type Answer = { readonly problem: string | null } | { readonly entries: number };

/**
 * Opens snapshots only after another process has read them through: what a damaged file does to a process, it does to that
 * one. A damaged snapshot is removed; it is a cache, and the log is replayed.
 */
export class SnapshotChecker {
  private child: ChildProcess | null = null;
  /** One folder at a time: whatever happens is of that one. */
  private turn: Promise<unknown> = Promise.resolve();

  /** Starts the process that checks, so that it is there when it is wanted. */
  constructor() {
    this.child = this.start();
  }

  readonly open: NonNullable<RuntimeOptions['openSnapshots']> = async (folder, onDiscard) => {
    if (existsSync(join(folder, 'data.mdb'))) {
      const checked = this.turn.then(() => this.problemOf(folder));
      this.turn = checked.catch(() => undefined);
      const problem = await checked;
      if (problem !== null) {
        onDiscard(`${folder}: ${problem}`);
        await rm(folder, { recursive: true, force: true });
      }
    }
    return SnapshotStore.open(folder, onDiscard);
  };

  close(): void {
    this.child?.disconnect();
    this.child = null;
  }

  private start(): ChildProcess {
    const file = fileURLToPath(new URL('./snapshotCheck.js', import.meta.url));
    // What it prints when it dies is of no use to anybody.
    const child = fork(file, [], { stdio: ['ignore', 'ignore', 'ignore', 'ipc'] });
    child.unref();
    child.channel?.unref();
    return child;
  }

  private async problemOf(folder: string): Promise<string | null> {
    const child = this.child?.connected === true ? this.child : this.start();
    this.child = child;
    const problem = await new Promise<string | null>((resolve) => {
      const silent = (): void => resolve('the check of its pages did not end');
      let timer = setTimeout(silent, SILENCE_MS);
      const onExit = (code: number | null, signal: string | null): void =>
        resolve(`the check of its pages ended with ${signal ?? code}`);
      child.on('exit', onExit);
      // Nobody can check: the mark beside the folder guards the reading all the same.
      child.on('error', () => resolve(null));
      child.on('message', (answer: Answer) => {
        clearTimeout(timer);
        if ('problem' in answer) resolve(answer.problem);
        else timer = setTimeout(silent, SILENCE_MS);
      });
      child.send(folder, (error) => {
        if (error !== null) resolve(null);
      });
    });
    child.removeAllListeners();
    child.on('error', () => undefined);
    // A process that met damage is trusted no more.
    if (problem !== null) {
      child.kill('SIGKILL');
      this.child = null;
    }
    return problem;
  }
}
