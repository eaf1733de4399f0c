import { TidemillError } from '../../contracts/errors.js';
import { MAX_HEAL_PARTS, type HealInput, type HealPart, type HealPlan } from '../../contracts/healing.js';
import { healTimes } from '../../contracts/schemas/healInput.js';
import { correctionsTopic } from '../../contracts/topics.js';
import type { CompiledView } from '../../features/compiledView.js';
import type { OnlineStore } from '../../stores/online/onlineStore.js';
import { onlineMarkOf, onlineMarks } from './onlineMarks.js';
import { startOf, type StreamSource } from './streamPart.js';

/** Offsets of a part, unless there would be too many parts. */
const PART_OFFSETS = 500_000;

/**
 * Fixes what a healing looks at: every partition from the first offset that may matter up to what the online store has.
 *
 * @throws TidemillError ONLINE_INCOMPLETE, ONLINE_UNAVAILABLE, TOPIC_MISSING; INPUT_INVALID
 */
export async function planHealing(
  source: StreamSource,
  view: CompiledView,
  store: OnlineStore,
  input: HealInput,
): Promise<HealPlan> {
  const { log, project } = source;
  const { from, to } = healTimes(input);
  const topic = correctionsTopic(project, view.name);
  const partitions = (await log.partitionCount(topic)) === null ? [] : await log.offsets(topic);
  // The topology that writes the view creates the topic.
  if (partitions.length === 0) {
    throw new TidemillError('ONLINE_INCOMPLETE', `${view.name}: nobody has written it to ${store.place} yet`, {
      view: view.name,
      topic,
    });
  }
  const marks = await onlineMarks(store, project, view);
  const stretches: HealPart[] = [];
  let lost = 0;
  for (const { partition } of partitions) {
    const { offset, watermark } = await onlineMarkOf(store, project, view, partition);
    const forgotten = watermark === null ? Number.NEGATIVE_INFINITY : watermark - view.keepMs;
    const start = await startOf(source, partition, Math.max(forgotten, from ?? Number.NEGATIVE_INFINITY));
    lost += start.lost;
    stretches.push({ partition, from: Math.min(start.from, offset), to: offset });
  }
  const offsets = stretches.reduce((sum, each) => sum + each.to - each.from, 0);
  const size = Math.max(PART_OFFSETS, Math.ceil(offsets / (MAX_HEAL_PARTS - stretches.length)));
  const newest = [...marks.values()].flatMap((mark) => mark.newest ?? []);
  return {
    source: {
      view: view.name,
      hash: view.hash,
      from,
      to,
      at: Math.max(0, ...newest),
      isPlan: input.plan === true,
    },
    parts: stretches.map((stretch) => cut(stretch, size)),
    corrections: Object.fromEntries(partitions.map(({ partition, high }) => [partition, high])),
    lost,
  };
}

function cut({ partition, from, to }: HealPart, size: number): HealPart[] {
  return Array.from({ length: Math.ceil((to - from) / size) }, (_, at) => ({
    partition,
    from: from + at * size,
    to: Math.min(to, from + (at + 1) * size),
  }));
}
