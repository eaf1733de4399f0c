import { setTimeout as sleep } from 'node:timers/promises';
import { STANDING } from './streamCluster.js';
import { requireThat, type StreamFault } from './streamFault.js';

/** How long the broker is away. */
const DOWN_MS = 3_000;
/** Less than the timeout of transactions: it is its owner who ends it. */
const HUNG_MS = 8_000;

export const BROKER_FAULTS: readonly StreamFault[] = [
  {
    family: 'broker',
    fault: 'kill -9 and restart',
    run: async ({ cluster, struck }) => {
      const pids = STANDING.map((name) => cluster.worker(name).pid);
      await struck();
      await cluster.restartKafka(DOWN_MS);
      await sleep(5_000);
      // They go on by themselves.
      requireThat(
        STANDING.every((name, at) => cluster.worker(name).isRunning && cluster.worker(name).pid === pids[at]),
        'a worker ended because the broker was away',
      );
    },
  },
  {
    family: 'broker',
    fault: 'hung transaction of a foreign producer among the requests',
    run: async ({ cluster, load, struck }) => {
      const producer = await cluster.log.transactionalProducer('foreign');
      const { requests } = cluster.topics;
      const foreign = load.take(40).filter(({ topic }) => topic === requests);
      await producer.begin();
      await producer.send(foreign);
      await struck();
      const before = await cluster.log.offsets(requests);
      await sleep(HUNG_MS);
      const after = await cluster.log.offsets(requests);
      // Nobody reads beyond a transaction that is open.
      requireThat(
        after.some(({ partition, high }) => high === before.find((each) => each.partition === partition)?.high),
        'the transaction hid nothing',
      );
      await producer.abort();
      await producer.close();
    },
  },
  {
    family: 'broker',
    fault: 'a foreign producer dies with its transaction open',
    run: async ({ cluster, load, struck }) => {
      const producer = await cluster.log.transactionalProducer('foreign');
      const { returns } = cluster.topics;
      await producer.begin();
      await producer.send(load.take(40).filter(({ topic }) => topic === returns));
      // The broker aborts it when its timeout is over.
      await producer.close();
      const before = await cluster.log.offsets(returns);
      await sleep(3_000);
      const after = await cluster.log.offsets(returns);
      requireThat(
        after.some(({ partition, high }) => high === before.find((each) => each.partition === partition)?.high),
        'the transaction hid nothing',
      );
      await struck();
    },
  },
];
