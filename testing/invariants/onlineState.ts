import type { CompiledView } from '../../features/compiledView.js';
import type { Log } from '../../stores/log/log.js';
import { FeatureReader } from '../../stores/online/featureReader.js';
import type { OnlineStore } from '../../stores/online/onlineStore.js';
import { interpretedKey, viewEvents } from './viewEvents.js';

/** The online store has of every key what the interpreter has, at the greatest event time. Returns how many keys were compared. */
export async function compareOnlineState(
  log: Log,
  store: OnlineStore,
  project: string,
  view: CompiledView,
  find: (text: string) => void,
): Promise<number> {
  const { byKey, newest } = await viewEvents(log, project, view);
  if (byKey.size === 0) return 0;
  const found = await new FeatureReader({ project, view, store }).read([...byKey.keys()], newest);
  for (const { key, features, ageMs } of found) {
    const expected = interpretedKey(view, byKey.get(key) ?? [], newest);
    const stored = {
      values: features.map(({ value }) => value),
      statuses: features.map(({ status }) => status),
      ageMs,
    };
    if (JSON.stringify(stored) !== JSON.stringify(expected)) {
      find(
        `${view.name} of ${String(key)}: the online store has ${JSON.stringify(stored)}, the interpreter ${JSON.stringify(expected)}`,
      );
    }
  }
  return found.length;
}
