import { beforeEach, describe, expect, test } from 'vitest';
import { groupId } from '../../../contracts/topics.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import type { RuntimeOptions } from '../../../streams/runtime/taskContext.js';
import type { StreamTask, Topology } from '../../../streams/runtime/topology.js';
import { Scheduler } from '../../../testing/simulation/scheduler.js';
import { SnapshotShelf } from '../../../testing/simulation/snapshotShelf.js';
import { idleTopology, onlyPartition } from '../../support/idleTopology.js';

let scheduler: Scheduler;
let log: Log;
let fatal: unknown[];
const actor = { name: 'one', state: 'running' as const };

beforeEach(async () => {
  scheduler = new Scheduler(0);
  fatal = [];
  log = createMemoryLog({
    clock: () => 0,
    schedule: (deliver) => void scheduler.point(actor, 'deliver').then(deliver),
    batchRecords: () => 10,
  });
  await log.ensureTopics([{ topic: onlyPartition.topic, partitions: 1 }]);
});

async function send(count: number, bytes: number): Promise<void> {
  const producer = await log.producer();
  await producer.send(
    Array.from({ length: count }, () => ({ ...onlyPartition, key: null, value: Buffer.alloc(bytes) })),
  );
}

const commit = (offset: number): Promise<void> =>
  log.commitOffsets(groupId(idleTopology.identity), [{ ...onlyPartition, offset }]);

function run(topology: Topology, more: Partial<RuntimeOptions> = {}): Promise<RunningTopology> {
  return runTopology(topology, {
    log,
    instance: 'one',
    directory: 'one',
    clock: scheduler.clockOf(actor),
    openSnapshots: async (folder) => new SnapshotShelf(scheduler).open(actor, folder),
    onFatal: (error) => fatal.push(error),
    ...more,
  });
}

/** The topology with a task that does some things otherwise. */
function topologyWith(own: Partial<StreamTask>): Topology {
  return { ...idleTopology, createTask: (id, inputs) => ({ ...idleTopology.createTask(id, inputs), ...own }) };
}

describe('a replay before a task is live', () => {
  test('goes on after records that are larger than what may be queued', async () => {
    await send(30, 1_000);
    await commit(30);
    const running = await run(idleTopology, { maxQueueBytes: 500 });
    await scheduler.rest();
    expect(running.status).toMatchObject([{ state: 'live', offsets: { 'p.payments-0': 30 } }]);
    await scheduler.until(running.stop());
    expect(fatal).toEqual([]);
  });

  test('has the task forget as it goes what nobody will need', async () => {
    await send(3_500, 1);
    await commit(3_500);
    let folded = 0;
    const forgotAt: number[] = [];
    const task: Partial<StreamTask> = { fold: () => void folded++, forget: () => void forgotAt.push(folded) };
    const running = await run(topologyWith(task));
    await scheduler.rest();
    expect(forgotAt).toEqual([1_000, 2_000, 3_000]);
    await scheduler.until(running.stop());
  });
});

test('a task whose offsets lie behind the end of its topic does not wait in silence until the topic has grown so far', async () => {
  // Committed in a topic that was deleted since, and created anew.
  await commit(100);
  await send(5, 1);
  await run(idleTopology);
  await scheduler.advance(60_000);
  expect(fatal).toMatchObject([{ code: 'OFFSET_AHEAD', details: { name: 'p.payments-0', offset: 100, high: 5 } }]);
});

test('a producer that cannot be closed stops nobody', async () => {
  const inner = log;
  let opened = 0;
  const failing: Log['transactionalProducer'] = async (id) => {
    opened++;
    return {
      ...(await inner.transactionalProducer(id)),
      close: () => Promise.reject(new Error('the connection is gone')),
    };
  };
  log = Object.assign(Object.create(inner) as Log, { transactionalProducer: failing });
  await send(1, 1);
  const running = await run(idleTopology, { commitIntervalMs: 0 });
  await scheduler.rest();
  await scheduler.until(running.stop());
  expect(opened).toBe(1);
  expect(fatal).toEqual([]);
});
