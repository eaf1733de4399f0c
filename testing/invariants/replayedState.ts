import type { StreamTask } from '../../streams/runtime/topology.js';
import { partitionName } from '../../streams/runtime/taskInputs.js';
import type { LiveTask, Simulation } from '../simulation/simulation.js';

/**
 * State is a fold of the log: a task that replays it silently from the start up to the committed offsets, and knows up to what
 * time timers were fired, must come to hold, byte for byte, what the running task holds, whatever that has been through.
 */
export async function compareReplayedState(simulation: Simulation, find: (text: string) => void): Promise<number> {
  const live = simulation.tasks.filter(({ state }) => state === 'live');
  for (const each of live) {
    const running = each.stateNow();
    const replayed = await replayedState(simulation, each);
    const keys = new Set([...running.keys(), ...replayed.keys()]);
    for (const key of keys) {
      const [ours, theirs] = [running.get(key), replayed.get(key)];
      if (ours !== undefined && theirs !== undefined && Buffer.compare(ours, theirs) === 0) continue;
      find(
        `${each.topology.identity.name} ${each.id}: ${textOf(key)} is ${sizeOf(ours)}, a replay of the log has ${sizeOf(theirs)}`,
      );
    }
  }
  return live.length;
}

async function replayedState(simulation: Simulation, live: LiveTask): Promise<ReadonlyMap<string, Uint8Array>> {
  const { log } = simulation;
  const { topology, id, partitions } = live;
  const { offsets, firedThrough } = await simulation.committedOf(live);
  const task = topology.createTask(id, partitions);
  task.timers?.resume(firedThrough);
  for (const place of partitions) {
    const to = offsets[partitionName(place)] ?? 0;
    for await (const batch of log.read({ ...place, from: 0, to })) {
      for (const record of batch) foldSilently(task, record);
    }
  }
  task.committed(new Map(Object.entries(offsets)));
  const state = new Map<string, Uint8Array>();
  for (const { key, value } of task.snapshot()) if (value !== null) state.set(Buffer.from(key).toString('hex'), value);
  return state;
}

function foldSilently(task: StreamTask, record: Parameters<StreamTask['parse']>[0]): void {
  try {
    task.fold(task.parse(record), { emit: () => undefined, deadLetter: () => undefined }, true);
  } catch {
    // A dead letter: it changes nothing.
  }
}

function textOf(key: string): string {
  return JSON.stringify(Buffer.from(key, 'hex').toString('utf8'));
}

function sizeOf(bytes: Uint8Array | undefined): string {
  if (bytes === undefined) return 'absent';
  return bytes.length > 200 ? `${bytes.length} bytes` : JSON.stringify(Buffer.from(bytes).toString('latin1'));
}
