import type { RuntimeClock } from './clock.js';
import type { TaskContext } from './taskContext.js';
import type { Input, TaskInputs } from './taskInputs.js';

/** What a feed does with the task it feeds. */
export interface FedTask {
  readonly inputs: TaskInputs;
  readonly clock: RuntimeClock;
  /** Nothing more is put in above this many queued bytes. */
  readonly maxQueueBytes: number;
  /** Something was put in, or went wrong. */
  news(): void;
  /** The archive is at its end: the log goes on at the input's position. */
  goOn(input: Input): void;
}

/**
 * Brings a task the records that the log no longer holds, in the place of the group's reader: first the archive up to where
 * the log begins, then the log. To the task there is no difference: both are input, replayed below the committed offset and
 * live above it.
 */
export class ArchivedFeed {
  private readonly fed = new Set<string>();
  private failure: { readonly error: unknown } | null = null;
  private stopped = false;

  constructor(
    private readonly context: TaskContext,
    private readonly task: FedTask,
  ) {}

  isFeeding({ name }: Input): boolean {
    return this.fed.has(name);
  }

  /** @throws what went wrong with reading the archive */
  check(): void {
    if (this.failure !== null) throw this.failure.error;
  }

  /** Starts an input that stands at an offset before the log's start. */
  start(input: Input): void {
    this.fed.add(input.name);
    void this.feed(input).catch((error: unknown) => {
      this.failure = { error };
      this.task.news();
    });
  }

  /** Puts nothing more in. */
  stop(): void {
    this.stopped = true;
  }

  private async feed(input: Input): Promise<void> {
    const { id, options } = this.context;
    const { inputs, clock, maxQueueBytes } = this.task;
    const { archive, log } = options;
    const { topic, partition, name } = input;
    // While the archive is read the log's start goes on.
    for (;;) {
      const range = (await log.offsets(topic)).find((each) => each.partition === partition);
      const to = range?.low ?? 0;
      const from = input.position;
      if (archive === undefined || from >= to) break;
      options.onEvent?.({ kind: 'readingArchive', task: id, name, from, to });
      for await (const records of archive.read({ topic, partition }, { from, to })) {
        while (input.bytes > maxQueueBytes && !this.stopped) await clock.wait(5).over;
        if (this.stopped) return;
        inputs.enqueue(records);
        this.task.news();
      }
      if (this.stopped) return;
      inputs.advance({ topic, partition }, to, to);
    }
    this.fed.delete(name);
    this.task.goOn(input);
    this.task.news();
  }
}
