import { Context } from '@temporalio/activity';
import type { OutcomeRecord } from '../contracts/records.js';
import { outcomesTopic } from '../contracts/topics.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';

/** How often the topic is looked at while nothing comes. */
const LOOK_MS = 1_000;

/** Waiting for the truth to become known. */
export function createLabelActivities({ log, project }: ActivityDependencies) {
  return withFailures({
    /**
     * Counts labelled positives among requests made at or after `onset`, and returns once there are `wanted`. A repeated
     * attempt counts again from the log: outcomes are there once each.
     */
    async awaitFreshPositives(model: string, onset: number, wanted: number): Promise<number> {
      const topic = outcomesTopic(project, model);
      const context = Context.current();
      const next = new Map<number, number>();
      let found = 0;
      for (;;) {
        for (const { partition, low, high } of await log.offsets(topic)) {
          const from = next.get(partition) ?? low;
          for await (const batch of log.read({ topic, partition, from, to: high })) {
            for (const { value } of batch) {
              const outcome = JSON.parse(value?.toString('utf8') ?? 'null') as OutcomeRecord;
              if (outcome.at >= onset && outcome.label === 1) found++;
            }
            context.heartbeat({ found, wanted });
          }
          next.set(partition, high);
        }
        context.heartbeat({ found, wanted });
        if (found >= wanted) return found;
        await context.sleep(LOOK_MS);
      }
    },
  });
}
