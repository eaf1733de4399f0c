import { createRequire } from 'node:module';
import { expect, test } from 'vitest';
import '../../../../../stores/log/kafkajs/kafkajs.js';

const require = createRequire(import.meta.url);

interface ClientCluster {
  findGroupCoordinatorMetadata(request: { readonly groupId: string }): Promise<unknown>;
}

test('a coordinator that no broker knows yet is asked for again: no consumer ends for it', async () => {
  const { prototype } = require('kafkajs/src/cluster/index.js') as { readonly prototype: ClientCluster };
  // What the library's pool gives where none of its brokers had an answer.
  const unaware = { brokerPool: { withBroker: () => Promise.resolve(undefined) } } as unknown as ClientCluster;
  await expect(prototype.findGroupCoordinatorMetadata.call(unaware, { groupId: 'g' })).rejects.toMatchObject({
    name: 'KafkaJSGroupCoordinatorNotFound',
    retriable: true,
  });
});
