import type { LogRecord, OutgoingRecord } from '../../stores/log/log.js';
import type { StoredState } from '../../streams/runtime/storedState.js';
import { partitionName } from '../../streams/runtime/taskInputs.js';
import type { Output, StreamTask } from '../../streams/runtime/topology.js';

/**
 * Drives one task without a log: records in offset order, a commit after every `commitEvery`, and, where asked, a crash in
 * the midst of a transaction. After a crash the task is rebuilt from its newest snapshot and a silent replay up to the
 * committed offset, as the runtime does.
 */
export async function driveTask(options: {
  readonly create: () => StreamTask;
  readonly records: readonly LogRecord[];
  readonly commitEvery: number;
  /** A snapshot after every so many commits. */
  readonly snapshotEvery: number;
  /** Numbers of records before which the process dies. */
  readonly crashes?: ReadonlySet<number>;
}): Promise<{ outputs: OutgoingRecord[]; deadLetters: number[] }> {
  const { create, records, commitEvery, snapshotEvery } = options;
  const committedOutputs: OutgoingRecord[] = [];
  const committedDeadLetters: number[] = [];
  const stored = new Map<string, Uint8Array>();
  let storedUpTo = 0;
  let committedUpTo = 0;
  let commits = 0;
  const crashes = new Set(options.crashes ?? []);

  const reader: StoredState = {
    get: (key) => stored.get(Buffer.from(key).toString('utf8')),
    keys: (from, to) => {
      const [first, end] = [Buffer.from(from).toString('utf8'), Buffer.from(to).toString('utf8')];
      const keys = [...stored.keys()].filter((key) => key >= first && key < end);
      return keys.sort().map((key) => Buffer.from(key));
    },
  };
  const opened = (): StreamTask => {
    const opening = create();
    opening.attach?.(reader);
    return opening;
  };
  let task = opened();
  let outputs: OutgoingRecord[] = [];
  let deadLetters: number[] = [];
  const output: Output = {
    emit: (record) => outputs.push(record),
    deadLetter: (record) => deadLetters.push(record.offset),
  };
  const fold = (record: LogRecord, replay: boolean): void => {
    try {
      task.fold(task.parse(record), replay ? SILENT : output, replay);
    } catch {
      if (!replay) output.deadLetter(record, null);
    }
  };
  for (let at = 0; at < records.length; at++) {
    if (crashes.delete(at)) {
      // Everything that was not committed is gone.
      outputs = [];
      deadLetters = [];
      task = opened();
      for (const [key, value] of task.attach === undefined ? stored : []) task.restore(Buffer.from(key, 'utf8'), value);
      for (let offset = storedUpTo; offset < committedUpTo; offset++) {
        fold(records[offset] as LogRecord, true);
        task.forget?.();
      }
      at = committedUpTo;
      if (at >= records.length) break;
    }
    fold(records[at] as LogRecord, false);
    if ((at + 1) % commitEvery !== 0 && at + 1 !== records.length) continue;
    await task.drain(output);
    const next = new Map<string, number>();
    for (const each of records.slice(0, at + 1)) next.set(partitionName(each), each.offset + 1);
    task.flush(output, next, []);
    committedOutputs.push(...outputs);
    committedDeadLetters.push(...deadLetters);
    outputs = [];
    deadLetters = [];
    committedUpTo = at + 1;
    task.committed(new Map());
    if (++commits % snapshotEvery !== 0) continue;
    for (const { key, value } of task.snapshot()) {
      if (value === null) stored.delete(Buffer.from(key).toString('utf8'));
      else stored.set(Buffer.from(key).toString('utf8'), value);
    }
    storedUpTo = committedUpTo;
    task.snapshotWritten?.();
  }
  return { outputs: committedOutputs, deadLetters: committedDeadLetters };
}

const SILENT: Output = { emit: () => undefined, deadLetter: () => undefined };
