import { Context } from '@temporalio/activity';
import type { OutcomeRecord } from '../contracts/records.js';
import { outcomesTopic, streamTopic } from '../contracts/topics.js';
import type { LabelProgress, LabelWait } from '../contracts/workflows.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { StallWatch } from './stallWatch.js';

/** How often the topic is looked at while nothing comes. */
const LOOK_MS = 1_000;

/** Waiting for the truth to become known. */
export function createLabelActivities({ log, registry, project, modelOf }: ActivityDependencies) {
  const progressOf = async (model: string): Promise<LabelProgress> => ({
    streamTime: await registry.watermark(streamTopic(project, modelOf(model).request.name)),
    outcomes: (await log.offsets(outcomesTopic(project, model))).reduce((sum, { high }) => sum + high, 0),
  });

  /** Counts requests whose newest label is positive and to be trusted, until there are `wanted`, or until `isEnough` says that there is no use in waiting. */
  async function countPositives(
    model: string,
    onset: number,
    wanted: number,
    isEnough: () => Promise<boolean>,
  ): Promise<number> {
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
            if (outcome.at >= onset) found += positivesAddedBy(outcome);
          }
          context.heartbeat({ found, wanted });
        }
        next.set(partition, high);
      }
      context.heartbeat({ found, wanted });
      if (found >= wanted || (await isEnough())) return found;
      await context.sleep(LOOK_MS);
    }
  }

  return withFailures({
    /**
     * Counts labelled positives among requests made at or after `onset`, and returns once there are `wanted`. A repeated
     * attempt counts again from the log: outcomes are there once each.
     */
    async awaitFreshPositives(model: string, onset: number, wanted: number): Promise<number> {
      return countPositives(model, onset, wanted, () => Promise.resolve(false));
    },

    /** Like awaitFreshPositives, but returns as well when neither stream time nor outcomes go on for `stallAfter`. */
    async awaitLabels(model: string, onset: number, wanted: number): Promise<LabelWait> {
      const stall = new StallWatch(modelOf(model).stallAfterMs);
      let at = await progressOf(model);
      const positives = await countPositives(model, onset, wanted, async () => {
        at = await progressOf(model);
        return stall.isStalled(at.streamTime, at.outcomes);
      });
      return positives >= wanted
        ? { kind: 'there', positives }
        : { kind: 'stalled', positives, at, reason: stall.reason };
    },

    /** Returns once stream time or outcomes are further than they were. */
    async awaitProgress(model: string, since: LabelProgress): Promise<void> {
      const context = Context.current();
      for (;;) {
        const { streamTime, outcomes } = await progressOf(model);
        if (streamTime !== since.streamTime || outcomes !== since.outcomes) return;
        context.heartbeat({ streamTime, outcomes });
        await context.sleep(LOOK_MS);
      }
    },
  });
}

/** One more, one less, or none: what a revision replaces counts no more. */
function positivesAddedBy({ label, source, revision, replaces }: OutcomeRecord): number {
  const isPositive = (said: Pick<OutcomeRecord, 'label' | 'source'>): number =>
    Number(said.label === 1 && said.source !== 'censored');
  // Outcomes did not always say what they replace; of two labels it was the other one.
  const before = revision > 0 ? isPositive(replaces ?? { label: 1 - label, source }) : 0;
  return isPositive({ label, source }) - before;
}
