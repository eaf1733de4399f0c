import { setTimeout as sleep } from 'node:timers/promises';
import { streamTopic } from '../../../contracts/topics.js';
import type { CompiledView } from '../../../features/compiledView.js';
import type { LoggedEvent, Value } from '../../../features/types.js';
import type { RandomNumbers } from '../../../models/statistics/random.js';
import { FeatureReader } from '../../../stores/online/featureReader.js';
import type { Log } from '../../../stores/log/log.js';
import type { OnlineStore } from '../../../stores/online/onlineStore.js';
import { interpretedKey } from '../../../testing/invariants/viewEvents.js';
import type { Ledger } from './ledger.js';

/** How long the writer may take to catch up with a log to which nothing is added. */
const PATIENCE_MS = 60_000;

/**
 * Waits until the online store has been written up to the end of the log, and holds keys of each view against the
 * interpreter.
 *
 * @param sample so many keys of a view, drawn by `random`; all of them where null.
 * @returns how many keys were compared, and what was found in words: one a key.
 */
export async function checkOnline(options: {
  readonly log: Log;
  readonly store: OnlineStore;
  readonly project: string;
  readonly views: readonly CompiledView[];
  readonly ledger: Ledger;
  readonly random: RandomNumbers;
  readonly sample: number | null;
}): Promise<{ readonly keys: number; readonly findings: readonly string[] }> {
  const { store, project, ledger, random, sample } = options;
  const findings: string[] = [];
  let compared = 0;
  for (const view of options.views) {
    const late = await awaitMarks(options, view);
    if (late !== null) {
      findings.push(late);
      continue;
    }
    const { byKey, newest } = byKeyOf(view, ledger.events(view.stream));
    const all = [...byKey.keys()];
    const keys = sample === null ? all : Array.from({ length: sample }, () => all[random.below(all.length)] as Value);
    const found = await new FeatureReader({ project, view, store }).read(keys, newest);
    for (const { key, features, ageMs } of found) {
      const expected = JSON.stringify(interpretedKey(view, byKey.get(key) ?? [], newest));
      const values = features.map(({ value }) => value);
      const stored = JSON.stringify({ values, statuses: features.map(({ status }) => status), ageMs });
      if (stored !== expected)
        findings.push(`${view.name} of ${String(key)}: online ${stored}, by the interpreter ${expected}`);
    }
    compared += found.length;
  }
  return { keys: compared, findings };
}

/** Null once every partition is marked up to its end; else what is missing. */
async function awaitMarks(
  { log, store, project }: { readonly log: Log; readonly store: OnlineStore; readonly project: string },
  view: CompiledView,
): Promise<string | null> {
  const ends = await log.offsets(streamTopic(project, view.stream.name));
  const identity = { project, name: view.name, hash: view.hash };
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    // A store that is being given back may answer nothing yet.
    const generation = await store.serving(identity).catch(() => null);
    const marks = await store.marks(identity, generation ?? 1).catch(() => new Map<number, never>());
    const behind = ends.filter(({ partition, high }) => high > 0 && (marks.get(partition)?.offset ?? -1) < high);
    if (behind.length === 0 && generation !== null) return null;
    if (performance.now() > until)
      return `${view.name}: the online store is behind in ${behind.map(({ partition }) => partition).join(', ')}, generation ${generation}`;
    await sleep(200);
  }
}

function byKeyOf(
  view: CompiledView,
  events: readonly LoggedEvent[],
): { readonly byKey: ReadonlyMap<Value, readonly LoggedEvent[]>; readonly newest: number } {
  const byKey = new Map<Value, LoggedEvent[]>();
  let newest = Number.NEGATIVE_INFINITY;
  for (const event of events) {
    newest = Math.max(newest, event.time);
    const key = event.values[view.key] as Value;
    const known = byKey.get(key);
    if (known === undefined) byKey.set(key, [event]);
    else known.push(event);
  }
  return { byKey, newest };
}
