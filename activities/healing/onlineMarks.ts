import { TidemillError } from '../../contracts/errors.js';
import type { CompiledView } from '../../features/compiledView.js';
import type { OnlineMark, OnlineStore } from '../../stores/online/onlineStore.js';

/** How far a view is in the online store, by partition: of the generation that serves. Empty where none does. */
export async function onlineMarks(
  store: OnlineStore,
  project: string,
  { name, hash }: CompiledView,
): Promise<ReadonlyMap<number, OnlineMark>> {
  const identity = { project, name, hash };
  const generation = await store.serving(identity);
  return generation === null ? new Map<number, OnlineMark>() : store.marks(identity, generation);
}

/** @throws TidemillError ONLINE_INCOMPLETE where nothing of the partition is served. */
export async function onlineMarkOf(
  store: OnlineStore,
  project: string,
  view: CompiledView,
  partition: number,
): Promise<OnlineMark> {
  const mark = (await onlineMarks(store, project, view)).get(partition);
  if (mark !== undefined) return mark;
  throw new TidemillError(
    'ONLINE_INCOMPLETE',
    `${view.name}: ${store.place} serves nothing of partition ${partition}`,
    { view: view.name, partition },
  );
}
