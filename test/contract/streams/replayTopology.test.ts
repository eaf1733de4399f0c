import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import type { ReplayComparison, ReplayProgress } from '../../../contracts/replayReport.js';
import { groupId } from '../../../contracts/topics.js';
import { sales, salesPerCity, spendPerCustomer } from '../../../examples/sales/project.js';
import type { CompiledWindows } from '../../../features/compiledWindows.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { compareOutputs, outputEnds } from '../../../streams/replay/compareOutputs.js';
import { dropReplay, replayTopology, switchReplay } from '../../../streams/replay/replayTopology.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import type { FailPoint } from '../../../streams/runtime/taskContext.js';
import type { Topology } from '../../../streams/runtime/topology.js';
import { Scheduler } from '../../../testing/simulation/scheduler.js';
import { SnapshotShelf } from '../../../testing/simulation/snapshotShelf.js';
import { windowTopology } from '../../../streams/topologies/windows/windowTopology.js';
import { randomNumbers } from '../../support/payments.js';
import { expectedWindows, latestResults, lineOf, valuesOf, type WindowText } from '../../support/windowOracle.js';

const project = 'again';
const PARTITIONS = 2;
const source = `${project}.${sales.compiled.name}`;
const START = Date.parse('2026-01-01T00:00:00Z');

let root: string;
let log: Log;
let sent: number;

beforeEach(async () => {
  root = await mkdtemp(join(tmpdir(), 'tidemill-again-'));
  log = createMemoryLog({ clock: () => START + 86_400_000 });
  sent = 0;
  await log.ensureTopics([{ topic: source, partitions: PARTITIONS }]);
});
afterEach(async () => {
  await log.close();
  await rm(root, { recursive: true });
});

async function send(count: number): Promise<void> {
  const random = randomNumbers(sent + 7);
  const producer = await log.producer();
  await producer.send(
    Array.from({ length: count }, () => {
      const id = sent++;
      const customer = Math.floor(random() * 20);
      const at = START + id * 1_000 - Math.floor(random() * 40_000);
      const sale = { id, at, customer, city: `c${id % 5}`, amount: 1 + (id % 9) };
      return { topic: source, key: String(customer), value: JSON.stringify(sale) };
    }),
  );
  await producer.close();
}

const topologyOf = (windows: CompiledWindows, generation: number): Topology =>
  windowTopology({ project, windows, generation, partitions: PARTITIONS, setsAside: true });

const runtimeOn = (machine: string) => ({
  instance: machine,
  directory: join(root, machine),
  commitIntervalMs: 5,
  snapshotIntervalMs: 20,
});

async function start(topology: Topology): Promise<RunningTopology> {
  return runTopology(topology, {
    ...runtimeOn(`live-${topology.identity.generation}`),
    log,
    onFatal: (error) => {
      throw error;
    },
  });
}

async function hasCaughtUp(topology: Topology): Promise<boolean> {
  for (const { topic } of topology.sources) {
    const ends = await log.offsets(topic);
    const places = ends.map(({ partition }) => ({ topic, partition }));
    const committed = await log.committed(groupId(topology.identity), places);
    for (const [at, { partition, high }] of ends.entries())
      for await (const batch of log.read({ topic, partition, from: committed[at]?.offset ?? 0, to: high }))
        if (batch.length > 0) return false;
  }
  return true;
}

/** Runs the live generation until everything sent is answered. */
async function runLive(topology: Topology): Promise<void> {
  const running = await start(topology);
  while (!(await hasCaughtUp(topology))) await sleep(5);
  await running.stop();
}

const optionsOf = (windows: CompiledWindows, running = 1, replayed = 2) => ({
  log,
  current: topologyOf(windows, running),
  next: topologyOf(windows, replayed),
  from: null,
  runtime: runtimeOn('replay'),
});

async function replayed(
  options: ReturnType<typeof optionsOf>,
): Promise<{ progress: ReplayProgress; comparison: ReplayComparison | undefined }> {
  const progress = await replayTopology(options);
  const [comparison] = await compareOutputs(log, options, await outputEnds(log, options.current));
  return { progress, comparison };
}

async function told(topic: string): Promise<WindowText[]> {
  const found: WindowText[] = [];
  for (const { partition, low, high } of await log.offsets(topic))
    for await (const batch of log.read({ topic, partition, from: low, to: high }))
      found.push(...batch.map(({ value }) => JSON.parse(String(value)) as WindowText));
  return found;
}

describe.each([
  ['with one task a partition', spendPerCustomer.compiled],
  ['with a hop', salesPerCity.compiled],
] as const)('a replay of windows %s', (_, windows) => {
  test('tells beside the running generation what that told, and changes nothing of it', async () => {
    await send(3_000);
    const options = optionsOf(windows);
    await runLive(options.current);
    const before = await told(`${project}.${windows.to}`);
    const { progress, comparison } = await replayed(options);
    expect(progress).toMatchObject({ behind: 0 });
    expect(comparison).toMatchObject({ different: 0, onlyReplayed: 0, onlyRunning: 0, samples: [] });
    expect(comparison?.equal).toBeGreaterThan(100);
    expect(await told(`${project}.${windows.to}`)).toEqual(before);
  });

  test('goes on after a crash at any step, and ends the same', async () => {
    const options = optionsOf(windows);
    const points: FailPoint[] = ['after-fence', 'after-begin', 'after-outputs', 'after-offsets', 'after-commit'];
    for (const point of points) {
      // More to do than is done before the crash.
      await send(500);
      await runLive(options.current);
      let reached = 0;
      const failing = replayTopology({
        ...options,
        runtime: {
          ...options.runtime,
          reach: (at) => {
            // No recovery helps against this: the replay ends in the midst of the step.
            if (at === point && ++reached > 1) throw new TidemillError('OFFSET_LOST', `injected ${point}`);
          },
        },
      });
      await failing.catch((error: unknown) => expect(error).toMatchObject({ message: `injected ${point}` }));
      expect(reached).toBeGreaterThan(0);
    }
    const { comparison } = await replayed(options);
    expect(comparison).toMatchObject({ different: 0, onlyReplayed: 0, onlyRunning: 0 });
  });

  test('finds what the running generation told otherwise, or not at all', async () => {
    await send(2_000);
    const options = optionsOf(windows);
    await runLive(options.current);
    const topic = `${project}.${windows.to}`;
    const [first] = await told(topic);
    const producer = await log.producer();
    const key = String(first?.key);
    await producer.send([
      { topic, key, value: JSON.stringify({ ...first, revision: 99, sales: 1_000_000 }) },
      { topic, key, value: JSON.stringify({ ...first, start: 0, end: 60_000 }) },
    ]);
    const { comparison } = await replayed(options);
    expect(comparison).toMatchObject({ different: 1, onlyReplayed: 0, onlyRunning: 1 });
    expect(comparison?.samples).toHaveLength(2);
  });

  test('takes over where the running one stopped: nothing is lost and nothing repeated', async () => {
    await send(1_500);
    const options = optionsOf(windows);
    await runLive(options.current);
    await replayTopology(options);
    // The running generation goes on meanwhile; the replay never overtakes it.
    await send(500);
    await runLive(options.current);
    await send(700);
    let adopted = 0;
    await switchReplay(options, () => Promise.resolve(++adopted === 1));
    expect(adopted).toBe(1);
    await runLive(options.next);

    const input = [];
    for (const { partition, high } of await log.offsets(source))
      for await (const batch of log.read({ topic: source, partition, from: 0, to: high })) input.push(...batch);
    const { windows: all, watermarks } = expectedWindows(windows, input);
    const results = await told(`${project}.${windows.to}`);
    const lines = results.map((each) => lineOf(each, valuesOf(each)));
    if (windows.emit === 'onClose') {
      const closed = Math.min(...watermarks.values());
      expect(new Set(lines).size).toBe(lines.length);
      const wanted = all.filter(({ end }) => end <= closed).map((each) => lineOf(each, each.values));
      expect(lines).toEqual(expect.arrayContaining(wanted));
    } else {
      // Revisions go on where those of the old generation ended.
      expect(latestResults(results).problems).toEqual([]);
      expect(lines).toEqual(expect.arrayContaining(all.map((each) => lineOf(each, each.values))));
    }
  });
});

test('a partition that goes on behind the end of a round is not idle there: what follows is late for nobody', async () => {
  // Blocks take longer to the next task than a partition may be silent.
  const scheduler = new Scheduler(0);
  const actor = { name: 'replay', state: 'running' as const };
  let isSlow = false;
  log = createMemoryLog({
    clock: () => START + 86_400_000,
    schedule: (deliver, _, { topic }) => {
      if (isSlow && topic.includes('.hop.')) void scheduler.wait(actor, 3_000).over.then(deliver);
      else setImmediate(deliver);
    },
  });
  await log.ensureTopics([{ topic: source, partitions: PARTITIONS }]);
  const options = optionsOf(salesPerCity.compiled);
  await send(300);
  // One partition is an hour ahead of the other.
  const ahead = { id: -1, at: START + 3_600_000, customer: 1, city: 'c1', amount: 1 };
  await (await log.producer()).send([{ topic: source, key: '1', value: JSON.stringify(ahead) }]);
  await runLive(options.current);
  await send(300);
  const shelf = new SnapshotShelf(scheduler);
  const runtime = {
    ...options.runtime,
    clock: scheduler.clockOf(actor),
    openSnapshots: async (folder: string) => shelf.open(actor, folder),
  };
  isSlow = true;
  await scheduler.until(replayTopology({ ...options, runtime }));
  isSlow = false;
  await runLive(options.current);
  await scheduler.until(replayTopology({ ...options, runtime }));
  const [comparison] = await compareOutputs(log, options, await outputEnds(log, options.current));
  expect(comparison).toMatchObject({ different: 0, onlyReplayed: 0, onlyRunning: 0 });
});

describe('a switch', () => {
  test('loses nothing of what the running generation left, though outputs are wanted from a later time only', async () => {
    await send(100);
    const options = optionsOf(spendPerCustomer.compiled);
    await runLive(options.current);
    await send(100);
    const later = START + 2 * 86_400_000;
    await switchReplay({ ...options, from: later }, () => Promise.resolve(true));
    const places = [0, 1].map((partition) => ({ topic: source, partition }));
    const offsetsOf = ({ identity }: Topology) => log.committed(groupId(identity), places);
    expect(await offsetsOf(options.next)).toEqual(await offsetsOf(options.current));
  });

  test('is refused while the running generation has workers', async () => {
    await send(100);
    const options = optionsOf(spendPerCustomer.compiled);
    await runLive(options.current);
    const running = await start(options.current);
    const refused = switchReplay(options, () => Promise.reject(new Error('adopted')));
    await expect(refused).rejects.toMatchObject({ code: 'TOPOLOGY_ACTIVE' });
    await running.stop();
  });

  test('is refused where the replay was dropped meanwhile', async () => {
    await send(100);
    const options = optionsOf(spendPerCustomer.compiled);
    await runLive(options.current);
    await expect(switchReplay(options, () => Promise.resolve(false))).rejects.toMatchObject({ code: 'REPLAY_BEHIND' });
  });
});

test('a replay that is dropped leaves nothing in the log', async () => {
  await send(500);
  const options = optionsOf(salesPerCity.compiled);
  await runLive(options.current);
  await replayTopology(options);
  const prefix = `${groupId(options.next.identity)}.`;
  expect((await log.topics(prefix)).length).toBeGreaterThan(1);
  await dropReplay(log, options.next);
  expect(await log.topics(prefix)).toEqual([]);
  const [found] = await log.committed(groupId(options.next.identity), [{ topic: source, partition: 0 }]);
  expect(found?.offset).toBeNull();
});
