import type { TaskInputs } from './taskInputs.js';

export type TaskState = 'recovering' | 'live' | 'stopped';

/** How a task is doing, as the process that runs it sees it. */
export interface TaskStatus {
  readonly task: string;
  readonly state: TaskState;
  /** Committed offsets by partition name. */
  readonly offsets: Readonly<Record<string, number>>;
  /** Event time; null where the task has none, or knows none yet. */
  readonly watermark: number | null;
  /** Records of the silent replay that are folded. */
  readonly replayed: number;
  /** Share of the silent replay that is done, 0..1; 1 once the task is live. */
  readonly restored: number;
  /** Records that are folded and wait to be answered, in ordered mode. */
  readonly waitingRows: number;
  /** What an operator should know of its state, in sentences. */
  readonly notes: readonly string[];
  readonly inputs: readonly InputStatus[];
}

export interface InputStatus {
  readonly topic: string;
  readonly partition: number;
  /** Offset of the next record to be processed, as committed; null before the first recovery has read it. */
  readonly committed: number | null;
  /** End of the partition as last read. */
  readonly end: number;
  /** About what waits in memory to be folded, bytes. */
  readonly queueBytes: number;
  readonly isPaused: boolean;
}

export function taskStatus({
  task,
  state,
  replayed,
  inputs,
  committed,
  restoredFrom,
  watermark,
  waitingRows,
  notes,
}: {
  readonly task: string;
  readonly state: TaskState;
  readonly replayed: number;
  readonly inputs: TaskInputs;
  readonly committed: ReadonlyMap<string, number>;
  readonly restoredFrom: ReadonlyMap<string, number>;
  readonly watermark: number | null;
  readonly waitingRows: number;
  readonly notes: readonly string[];
}): TaskStatus {
  let wanted = 0;
  let done = 0;
  for (const input of inputs.inputs) {
    const [from, to] = [restoredFrom.get(input.name), committed.get(input.name)];
    if (from === undefined || to === undefined) continue;
    wanted += to - from;
    done += Math.min(to, Math.max(from, inputs.nextOffset(input))) - from;
  }
  const share = restoredFrom.size === 0 ? 0 : wanted === 0 ? 1 : done / wanted;
  return {
    task,
    state,
    offsets: Object.fromEntries(committed),
    watermark,
    replayed,
    restored: state === 'live' ? 1 : share,
    waitingRows,
    notes,
    inputs: inputs.inputs.map((input) => ({
      topic: input.topic,
      partition: input.partition,
      committed: committed.get(input.name) ?? null,
      end: input.highWatermark,
      queueBytes: input.bytes,
      isPaused: input.isPaused,
    })),
  };
}
