import { createRequire } from 'node:module';
import { TidemillError } from '../../../contracts/errors.js';
import type { TopicPartition } from '../log.js';

interface ConsumerGroup {
  readonly offsetManager: { nextOffset(topic: string, partition: number): { toString(): string } };
  recoverFromOffsetOutOfRange(this: ConsumerGroup, error: TopicPartition): Promise<void>;
}

const REPAIRED = Symbol.for('tidemill.kafkajs.refuseLostOffsets');

/**
 * Has consumers of this process end where the broker does not have the offset that they go on at: retention was faster than
 * they, or the topic is another one. The client library would go on where the partition begins by now, tell nobody, and
 * commit "the beginning" for the group over what its tasks have committed. There is no option against it.
 */
export function refuseLostOffsets(): void {
  const require = createRequire(import.meta.url);
  const { prototype } = require('kafkajs/src/consumer/consumerGroup.js') as {
    prototype: ConsumerGroup & { [REPAIRED]?: true };
  };
  if (prototype[REPAIRED] === true) return;
  prototype.recoverFromOffsetOutOfRange = function ({ topic, partition }) {
    const wanted = Number(this.offsetManager.nextOffset(topic, partition).toString());
    const text = `${topic}-${partition}: the log does not hold offset ${wanted}, at which reading goes on`;
    const cause = new TidemillError('OFFSET_LOST', text, { topic, partition, wanted });
    // The library tries everything again that does not say otherwise.
    return Promise.reject(Object.assign(new Error(text, { cause }), { retriable: false }));
  };
  prototype[REPAIRED] = true;
}
