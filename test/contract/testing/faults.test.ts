import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testStreams, type LogCall, type StreamTestDriver } from 'tidemill/testing';
import { customerSpending, fraud, project, transactions } from '../../../examples/fraud/project.js';
import type { FailPoint } from '../../../streams/runtime/taskContext.js';

const START = Date.parse('2026-03-01T00:00:00Z');

/** Sends payments of five customers. */
async function pay(driver: StreamTestDriver, count: number, firstId = 0): Promise<void> {
  const all = Array.from({ length: count }, (_, at) => firstId + at).map((id) => {
    return { id, at: START + id * 60_000, customer: id % 5, terminal: id % 3, amount: id };
  });
  await driver.stream(transactions).send(all);
}

describe('a failure', () => {
  let driver: StreamTestDriver;
  beforeEach(async () => {
    driver = await testStreams(project, { snapshotIntervalMs: 0 });
    await pay(driver, 10);
    await driver.settle();
  });
  afterEach(() => driver.close());

  /** Another ten payments end as they must, and everything planned has happened. */
  async function expectPromisesKept(): Promise<void> {
    await pay(driver, 10, 10);
    await driver.settle();
    expect(driver.faults.pending).toEqual([]);
    expect(await driver.checkInvariants()).toMatchObject({ requests: 20, predictions: 20, vectors: 20, tasks: 4 });
  }

  test.each<FailPoint>(['before-begin', 'after-begin', 'after-outputs', 'after-offsets', 'after-commit'])(
    'a process that dies %s repeats nothing and loses nothing',
    async (point) => {
      driver.faults.crashAt(point, { task: 'customer-1' });
      await expectPromisesKept();
      expect(driver.events.filter(({ kind }) => kind === 'recovered')).toHaveLength(8);
    },
  );

  test.each<FailPoint>(['before-snapshot', 'after-snapshot', 'after-fence'])(
    'a process that dies %s finds a snapshot that it can use',
    async (point) => {
      if (point === 'after-fence') driver.faults.crashAt('after-commit', { task: 'customer-1' });
      driver.faults.crashAt(point, { task: 'customer-1' });
      await expectPromisesKept();
      const recovered = driver.events.flatMap((each) => (each.kind === 'recovered' ? [each] : []));
      expect(recovered.filter(({ task }) => task === 'customer-1').at(-1)).toMatchObject({ fromSnapshot: true });
    },
  );

  test.each<LogCall>(['begin', 'send', 'sendOffsets', 'commit'])(
    'a %s that fails is made up for, was it done or not',
    async (call) => {
      driver.faults.failNext(call, { task: 'customer-1', outcome: 'notDone' });
      driver.faults.failNext(call, { task: 'terminal-0', outcome: 'answerLost' });
      await expectPromisesKept();
      expect(driver.events.filter(({ kind }) => kind === 'rebuild')).toHaveLength(2);
    },
  );

  test('a recovery that fails is tried again', async () => {
    driver.faults.failNext('commit', { task: 'customer-1' });
    driver.faults.failNext('transactionalProducer', { task: 'customer-1' });
    driver.faults.failNext('committed');
    await expectPromisesKept();
  });

  test('a fenced task that is still assigned goes on under a new producer', async () => {
    await driver.faults.fence('customer-1');
    await expectPromisesKept();
    expect(driver.events).toContainEqual(
      expect.objectContaining({
        kind: 'rebuild',
        error: expect.objectContaining({ code: 'PRODUCER_FENCED' }) as unknown,
      }),
    );
  });

  test('a process that stood still while its tasks went elsewhere commits nothing when it goes on', async () => {
    await driver.start('two');
    await pay(driver, 5, 10);
    driver.faults.pause('one');
    // The session runs out, and the other instance takes over.
    await driver.advanceWallClock(15_000);
    await driver.settle();
    await driver.faults.resume('one');
    await pay(driver, 5, 15);
    await driver.settle();
    expect(await driver.checkInvariants()).toMatchObject({ requests: 20, predictions: 20 });
  });

  test('a process that nobody starts again is replaced by the others when its session has run out', async () => {
    await driver.start('two');
    await driver.settle();
    driver.faults.crash('one');
    const before = driver.now;
    await expectPromisesKept();
    expect(driver.now - before).toBeGreaterThanOrEqual(10_000);
    expect(new Set(driver.tasks.map(({ instance }) => instance))).toEqual(new Set(['two']));
  });

  test('with nobody left nothing is answered, and a new process answers all', async () => {
    driver.faults.crash('one');
    await pay(driver, 10, 10);
    expect(await driver.predictions(fraud)).toHaveLength(10);
    await driver.start('one');
    expect(await driver.predictions(fraud)).toHaveLength(20);
    expect(await driver.checkInvariants()).toMatchObject({ requests: 20, predictions: 20 });
  });

  test('a snapshot that is damaged is discarded, and the log is replayed', async () => {
    driver.faults.crash('one');
    expect(driver.faults.corruptSnapshots({ task: 'customer-1' })).toBeGreaterThan(0);
    await driver.start('one');
    await expectPromisesKept();
    const discarded = driver.events.filter(({ kind }) => kind === 'snapshotDiscarded');
    expect(discarded).toMatchObject([{ task: 'customer-1' }]);
  });

  test('without snapshots the log is replayed', async () => {
    driver.faults.crash('one');
    expect(driver.faults.loseSnapshots()).toBe(4);
    await driver.start('one');
    await expectPromisesKept();
    const recovered = driver.events.flatMap((each) => (each.kind === 'recovered' ? [each] : [])).slice(-4);
    expect(recovered.every(({ fromSnapshot }) => !fromSnapshot)).toBe(true);
    expect(recovered.reduce((sum, { replayed }) => sum + replayed, 0)).toBeGreaterThanOrEqual(10);
  });
});

test('while the online store is away the log goes on; what it missed is written when it is back', async () => {
  const driver = await testStreams(project, { topologies: ['materialize'] });
  await pay(driver, 5);
  await driver.settle();
  driver.faults.takeOnlineStoreAway();
  await pay(driver, 5, 5);
  await driver.settle();
  const countOf = async (): Promise<unknown> =>
    (await driver.onlineFeatures(customerSpending, 1, START + 3_600_000)).features.find(
      ({ name }) => name === 'transactions_1d',
    )?.value;
  expect(await countOf()).toBe(1);
  driver.faults.bringOnlineStoreBack();
  expect(await countOf()).toBe(2);
  expect(await driver.checkInvariants()).toMatchObject({ onlineKeys: 5 });
  await driver.close();
});
