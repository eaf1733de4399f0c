import {
  greaterChange,
  type HealedPart,
  type HealInput,
  type HealPart,
  type HealResult,
} from '../contracts/healing.js';
import { correctionsWait, healings, validation } from './activityProxies.js';
import { plainly } from './plainFailure.js';
import { showProgress } from './showProgress.js';

/** Partitions under way at a time. */
const AT_ONCE = 4;

/**
 * Heals the online store of a view: events of its stream that the store lacks, late ones say, become corrections, which its
 * topology takes in. Partitions are independent; the parts of one follow on one another, since an event is late by those
 * before it. What is done is in the workflow's history and is not done again.
 */
export async function healFeatures(input: HealInput): Promise<HealResult> {
  const shown = showProgress((input as Partial<HealInput> | null)?.view ?? '');
  const checked = await validation().validateHeal(input);
  shown.enter('plan');
  const plan = await plainly(() => healings().planHeal(checked));
  const { source, parts, corrections, lost } = plan;
  const { view, hash, isPlan } = source;
  const stretch = parts.flat().reduce((sum, { from, to }) => sum + to - from, 0);
  shown.done('plan', `${stretch} offsets of ${parts.length} partitions, ${lost} are nowhere any more`);

  shown.enter('compare');
  const found: HealedPart[] = [];
  const waiting = [...parts];
  const work = async (): Promise<void> => {
    for (let next = waiting.shift(); next !== undefined; next = waiting.shift()) await healPartition(next);
  };
  const healPartition = async (each: readonly HealPart[]): Promise<void> => {
    let newest: number | null = null;
    for (const part of each) {
      const healed: HealedPart = await healings().healPart(source, part, newest);
      newest = healed.newest;
      found.push(healed);
      shown.done(
        'compare',
        `partition ${part.partition} up to ${part.to}: ${healed.lacking} of ${healed.compared} lack`,
      );
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));
  const sum = (count: (part: HealedPart) => number): number => found.reduce((all, each) => all + count(each), 0);
  const common = {
    view,
    hash,
    compared: sum(({ compared }) => compared),
    lost,
    change: found.reduce<HealResult['change']>((all, { change }) => greaterChange(all, change), null),
  };
  if (isPlan) {
    shown.enter('done');
    return {
      outcome: 'planned',
      ...common,
      events: sum(({ lacking }) => lacking),
      inTime: sum(({ inTime }) => inTime),
      keys: sum(({ keys }) => keys),
    };
  }

  shown.enter('take in');
  const healed = await correctionsWait().awaitCorrections(source, corrections);
  shown.done('take in', `${healed.events} corrections of ${healed.keys} keys are in the online store`);
  shown.enter('done');
  return { outcome: 'healed', ...common, ...healed };
}
