import { jsonOf, readTopic } from '../../activities/audit/readTopic.js';
import type { CorrectionRecord } from '../../contracts/records.js';
import { correctionsTopic, streamTopic } from '../../contracts/topics.js';
import type { CompiledFeature, CompiledView } from '../../features/compiledView.js';
import { checkFuture, parseEvent } from '../../features/eventContract.js';
import { interpretView } from '../../features/interpreter.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import { toVectorNumber } from '../../features/vector.js';
import type { Log } from '../../stores/log/log.js';

/** What the log says of a view. */
export interface ViewEvents {
  /** Events by key: those that were in time, and those inserted later by a correction. */
  readonly byKey: ReadonlyMap<Value, readonly LoggedEvent[]>;
  /** Events behind their partition's watermark that no correction has inserted. */
  readonly late: readonly LoggedEvent[];
  /** Greatest event time that was in time; -Infinity where there is none. */
  readonly newest: number;
}

/** Reads the events of a view's stream, as plainly as the rules are. */
export async function viewEvents(log: Log, project: string, view: CompiledView): Promise<ViewEvents> {
  const { stream, key } = view;
  const corrected = new Set(
    (await readTopic(log, correctionsTopic(project, view.name)))
      .map((record) => jsonOf<CorrectionRecord>(record))
      .map(({ partition, offset }) => `${partition}/${offset}`),
  );
  const byKey = new Map<Value, LoggedEvent[]>();
  const late: LoggedEvent[] = [];
  const newest = new Map<number, number>();
  for (const { partition, offset, timestamp, value } of await readTopic(log, streamTopic(project, stream.name))) {
    let event: LoggedEvent;
    try {
      event = { ...parseEvent(stream, value), partition, offset };
      checkFuture(stream, event.time, timestamp);
    } catch {
      // Breaks the contract: set aside by others.
      continue;
    }
    const before = newest.get(partition) ?? Number.NEGATIVE_INFINITY;
    if (event.time < before - stream.allowedLatenessMs) {
      if (!corrected.has(`${partition}/${offset}`)) {
        late.push(event);
        continue;
      }
    } else newest.set(partition, Math.max(before, event.time));
    const owner = event.values[key] as Value;
    const known = byKey.get(owner);
    if (known === undefined) byKey.set(owner, [event]);
    else known.push(event);
  }
  return { byKey, late, newest: Math.max(Number.NEGATIVE_INFINITY, ...newest.values()) };
}

/** What the interpreter says of a key at a time; values as in a vector. */
export interface InterpretedKey {
  readonly values: readonly (number | null)[];
  readonly statuses: readonly string[];
  readonly ageMs: number | null;
}

export function interpretedKey(view: CompiledView, events: readonly LoggedEvent[], at: number): InterpretedKey {
  const { values, statuses, ageMs } = interpretView(view, events, { time: at, id: null }, false);
  return {
    values: values.map((value, index) =>
      value === null ? null : toVectorNumber((view.features[index] as CompiledFeature).type, value),
    ),
    statuses,
    ageMs,
  };
}
