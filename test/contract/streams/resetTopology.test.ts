import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { verifyServed } from '../../../activities/audit/verifyServed.js';
import type { ResetStart } from '../../../contracts/topologyReset.js';
import { groupId, hopTopic, predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { createFallbackScorer } from '../../../scoring/fallbackScorer.js';
import type { Log } from '../../../stores/log/log.js';
import { createMemoryLog } from '../../../stores/log/memoryLog.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { initialiseGroup } from '../../../streams/runtime/initialiseGroup.js';
import { planReset, resetTopology, type ResetTarget } from '../../../streams/runtime/resetTopology.js';
import { runTopology, type RunningTopology } from '../../../streams/runtime/runTopology.js';
import type { Topology } from '../../../streams/runtime/topology.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { labelRecord, paymentRecord, payments } from '../../support/payments.js';

const project = 'memory';
const PARTITIONS = 2;
const requests = `${project}.transactions`;
const key = `${project}/score.fraud`;

function generation(number: number): Topology {
  return scoreTopology({
    project,
    model: fraud.compiled,
    generation: number,
    partitions: PARTITIONS,
    scorer: createFallbackScorer(fraud.compiled),
  });
}
const target: ResetTarget = { current: generation(1), next: generation(2) };

describe('the reset of a topology', () => {
  let folder: string;
  let log: Log;
  let registry: Registry;
  /** The log's clock, ms: each batch of records has its own. */
  let clock: number;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-reset-'));
    registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
    clock = Date.parse('2026-01-01');
    log = createMemoryLog({ clock: () => clock });
    await log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `${project}.${name}`, partitions: PARTITIONS })),
    );
  });
  afterEach(async () => {
    await registry.close();
    await rm(folder, { recursive: true });
  });

  const send = async (count: number, firstId: number): Promise<void> => {
    const made = payments(count, {
      seed: 3,
      firstId,
      from: Date.parse('2018-04-01') + firstId * 60_000,
      everyMs: 60_000,
    });
    const producer = await log.producer();
    await producer.send(made.flatMap((each) => [paymentRecord(project, each), labelRecord(project, each)]));
    clock += 3_600_000;
  };
  const run = (topology: Topology): Promise<RunningTopology> =>
    runTopology(topology, {
      log,
      instance: 'worker-1',
      directory: join(folder, 'streams'),
      commitIntervalMs: 5,
      onFatal: (error) => {
        throw error;
      },
    });
  const predictions = async (): Promise<number> => {
    const topic = predictionsTopic(project, 'fraud');
    let count = 0;
    for (const { partition, high } of await log.offsets(topic)) {
      for await (const batch of log.read({ topic, partition, from: 0, to: high })) count += batch.length;
    }
    return count;
  };
  const answered = async (topology: Topology, count: number): Promise<void> => {
    const running = await run(topology);
    while ((await predictions()) < count) await sleep(10);
    await running.stop();
  };
  const reset = (start: ResetStart): ReturnType<typeof resetTopology> =>
    resetTopology(log, target, start, () => registry.issueGeneration(key));

  test('goes on where the old generation was: nothing is answered twice or left out, and the state is the same', async () => {
    await initialiseGroup(log, target.current, 'start');
    await send(300, 0);
    await answered(target.current, 300);
    const done = await reset({ kind: 'committed' });
    expect(done).toMatchObject({
      topology: 'score.fraud',
      generation: { from: 1, to: 2 },
      group: { from: 'memory.score.fraud.g1', to: 'memory.score.fraud.g2' },
      leftBehind: [],
      applied: true,
    });
    expect(await registry.generation(key)).toBe(2);
    await send(200, 1_000);
    await answered(target.next, 500);
    const audit = await verifyServed(log, project, fraud.compiled, new Map());
    expect(audit.findings).toEqual([]);
    expect(audit).toMatchObject({ records: 500, predictions: 500, missing: 0, repeated: 0, maxDifference: 0 });
  });

  test('starts at the start, at the end or at a time of every topic that is not its own', async () => {
    await initialiseGroup(log, target.current, 'start');
    await send(50, 0);
    await answered(target.current, 50);
    const since = clock;
    await send(30, 1_000);
    const ranges = new Map<string, number>();
    for (const topic of [requests, `${project}.fraud-labels`])
      for (const { partition, high } of await log.offsets(topic)) ranges.set(`${topic}-${partition}`, high);
    const starts = async (start: ResetStart): Promise<Map<string, number>> =>
      new Map(
        (await planReset(log, target, start)).offsets.map(({ topic, partition, start: at }) => [
          `${topic}-${partition}`,
          at,
        ]),
      );
    expect(await starts({ kind: 'earliest' })).toEqual(new Map([...ranges.keys()].map((name) => [name, 0])));
    expect(await starts({ kind: 'latest' })).toEqual(ranges);
    const committed = await starts({ kind: 'committed' });
    // All of the first batch had been processed, and nothing of the second.
    expect(await starts({ kind: 'time', at: since })).toEqual(committed);
    expect(await starts({ kind: 'time', at: clock })).toEqual(ranges);
    expect([...committed.values()].some((offset) => offset > 0)).toBe(true);
    // Planning has changed nothing.
    expect(await registry.generation(key)).toBe(1);
    expect(
      (await log.committed(groupId(target.next.identity), [{ topic: requests, partition: 0 }]))[0]?.offset,
    ).toBeNull();
  });

  test('is refused while workers run it, and names them; nothing has changed then', async () => {
    await initialiseGroup(log, target.current, 'start');
    const running = await run(target.current);
    await expect(reset({ kind: 'earliest' })).rejects.toMatchObject({
      code: 'TOPOLOGY_ACTIVE',
      message: expect.stringContaining('score.fraud is run by worker-1 (memory)') as string,
    });
    await running.stop();
    expect(await registry.generation(key)).toBe(1);
    expect(
      (await log.committed(groupId(target.next.identity), [{ topic: requests, partition: 0 }]))[0]?.offset,
    ).toBeNull();
  });

  test('names workers that began to run it while it was reset: they go on beside the new generation', async () => {
    await initialiseGroup(log, target.current, 'start');
    let running: RunningTopology | null = null;
    const resetting = resetTopology(log, target, { kind: 'committed' }, async () => {
      // It had read the number of the generation before.
      running = await run(target.current);
      return registry.issueGeneration(key);
    });
    await expect(resetting).rejects.toMatchObject({
      code: 'TOPOLOGY_ACTIVE',
      message: expect.stringContaining('generation 2 is issued, but generation 1 is run by worker-1') as string,
    });
    await (running as RunningTopology | null)?.stop();
  });

  test('asks where to go on if the group has no offsets', async () => {
    await send(10, 0);
    await expect(reset({ kind: 'committed' })).rejects.toMatchObject({
      code: 'OFFSETS_MISSING',
      details: { topology: 'score.fraud', topic: requests, partition: 0 },
    });
    expect((await reset({ kind: 'latest' })).applied).toBe(true);
  });

  test('goes on with what retention has left where the offset is gone', async () => {
    await initialiseGroup(log, target.current, 'start');
    await send(50, 0);
    const shortened: Log = Object.assign(Object.create(log) as Log, {
      offsets: async (topic: string) => (await log.offsets(topic)).map((range) => ({ ...range, low: 7 })),
    });
    const { offsets } = await planReset(shortened, target, { kind: 'committed' });
    expect(offsets.length).toBe(2 * PARTITIONS);
    expect(offsets.every(({ committed, start, low }) => committed === 0 && start === 7 && low === 7)).toBe(true);
  });

  test('counts records that stay behind in internal topics', async () => {
    await initialiseGroup(log, target.current, 'start');
    const topic = hopTopic(target.current.identity, 'terminal');
    await log.ensureTopics([{ topic, partitions: PARTITIONS }]);
    const producer = await log.transactionalProducer('somebody');
    await producer.begin();
    await producer.send([0, 1, 1].map((partition) => ({ topic, partition, key: null, value: 'a block' })));
    await producer.commit();
    // Markers are no records.
    expect((await planReset(log, target, { kind: 'committed' })).leftBehind).toEqual([{ topic, records: 3 }]);
    await log.commitOffsets(
      groupId(target.current.identity),
      [1, 2].map((offset, partition) => ({ topic, partition, offset })),
    );
    expect((await planReset(log, target, { kind: 'committed' })).leftBehind).toEqual([]);
  });

  test('that meets another one at the same time is told so', async () => {
    await send(10, 0);
    const issue = async (): Promise<number> => {
      await registry.issueGeneration(key);
      return registry.issueGeneration(key);
    };
    await expect(resetTopology(log, target, { kind: 'latest' }, issue)).rejects.toMatchObject({
      code: 'TOPOLOGY_ACTIVE',
      message: expect.stringContaining('another reset') as string,
    });
  });
});
