import { setTimeout as sleep } from 'node:timers/promises';
import { deadLetterTopic, groupId } from '../../../contracts/topics.js';
import type { StreamCluster } from './streamCluster.js';

/** Waits until groups of these topologies have committed all that there is. @returns null, or who is behind. */
export async function groupsCaughtUp(
  { log, configuration: { project } }: StreamCluster,
  names: readonly string[],
  withinMs: number,
): Promise<string | null> {
  const until = performance.now() + withinMs;
  for (;;) {
    const behind: string[] = [];
    for (const name of names) {
      const group = groupId({ project, name, generation: 1 });
      const partitions = (await log.groupMembers(group)).flatMap((each) => each.partitions);
      const committed = await log.committed(group, partitions);
      for (const topic of new Set(partitions.map((each) => each.topic))) {
        for (const { partition, high } of await log.offsets(topic)) {
          const found = committed.find((each) => each.topic === topic && each.partition === partition)?.offset ?? 0;
          // A committed offset stands before the marker that ends its transaction.
          if (found < high - 1) behind.push(`${name} is at ${found} of ${high} in ${topic}-${partition}`);
        }
      }
    }
    if (behind.length === 0) return null;
    if (performance.now() > until) return behind.join(', ');
    await sleep(500);
  }
}

/** Dead letters of the project so far. */
export async function deadLetters({ log, configuration }: StreamCluster): Promise<number> {
  let found = 0;
  for (const { partition, low, high } of await log.offsets(deadLetterTopic(configuration.project))) {
    const place = { topic: deadLetterTopic(configuration.project), partition };
    // One by one: offsets count the markers of transactions, too.
    if (high > low) for await (const batch of log.read({ ...place, from: low, to: high })) found += batch.length;
  }
  return found;
}
