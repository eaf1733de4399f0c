import { TidemillError } from '../../contracts/errors.js';

/** A topic has another number of partitions than is needed; `found` is undefined where the broker did not say. */
export function topicMismatch(topic: string, found: number | undefined, partitions: number): TidemillError {
  const text = `topic ${topic} has ${found} partitions where ${partitions} are needed`;
  return new TidemillError('TOPIC_MISMATCH', text, { topic, found, partitions });
}
