import { setTimeout as sleep } from 'node:timers/promises';
import { END_TXN, type RequestFault } from './proxy.js';
import { requireThat, type StreamFault } from './streamFault.js';

const LATENCY_MS = 150;
const SLOW_MS = 8_000;
const STRUCK_MS = 30_000;

/** The connection that a transaction ends on is cut: whether it was committed is not known to who did it. */
const cutAtEnd = (when: RequestFault['when']): StreamFault => ({
  family: 'network',
  fault: `cut right ${when} EndTxn`,
  run: async ({ cluster, struck }) => {
    const { kafkaProxy } = cluster;
    const partitions = await cluster.partitionsOf('score-2');
    for (let times = 0; times < 3; times++) {
      const before = kafkaProxy.struck;
      kafkaProxy.strike({ apiKey: END_TXN, when });
      const until = performance.now() + STRUCK_MS;
      while (kafkaProxy.struck === before && performance.now() < until) await sleep(20);
      requireThat(kafkaProxy.struck > before, 'no transaction ended by way of the proxy');
      if (times === 0) await struck(partitions);
      await sleep(1_500);
    }
  },
});

export const NETWORK_FAULTS: readonly StreamFault[] = [
  {
    family: 'network',
    fault: `latency of ${LATENCY_MS} ms each way`,
    run: async ({ cluster, struck }) => {
      const { kafkaProxy } = cluster;
      requireThat(kafkaProxy.connections > 0, 'nobody is connected by way of the proxy');
      kafkaProxy.delay(LATENCY_MS);
      try {
        await struck(await cluster.partitionsOf('score-2'));
        await sleep(SLOW_MS);
      } finally {
        kafkaProxy.delay(0);
      }
    },
  },
  {
    family: 'network',
    fault: 'all connections cut, three times',
    run: async ({ cluster, struck }) => {
      await struck(await cluster.partitionsOf('score-2'));
      for (let times = 0; times < 3; times++) {
        requireThat(cluster.kafkaProxy.cut() > 0, 'nobody was connected by way of the proxy');
        await sleep(2_000);
      }
    },
  },
  {
    family: 'network',
    fault: 'half-open connections: nothing passes and nobody is told',
    run: async ({ cluster, struck }) => {
      const partitions = await cluster.partitionsOf('score-2');
      requireThat(cluster.kafkaProxy.swallow() > 0, 'nobody was connected by way of the proxy');
      await struck(partitions);
      // The group gives its tasks to the other one.
      await cluster.shared(['score-1']);
      // It finds out by itself, when its requests time out, and comes back.
      await cluster.shared(['score-1', 'score-2']);
    },
  },
  cutAtEnd('before'),
  cutAtEnd('after'),
];
