import { TidemillError } from '../contracts/errors.js';
import { streamTopic } from '../contracts/topics.js';
import type { CompiledStream } from '../features/compiledView.js';
import type { Log } from '../stores/log/log.js';

/**
 * Partitions of a stream's topic, which is the users' own.
 *
 * @throws TidemillError STREAM_NOT_FOUND
 */
export async function streamPartitions(log: Log, project: string, stream: CompiledStream): Promise<number> {
  const topic = streamTopic(project, stream.name);
  const partitions = await log.partitionCount(topic);
  if (partitions !== null) return partitions;
  throw new TidemillError('STREAM_NOT_FOUND', `topic ${topic} does not exist`, { topic });
}
