import { streamTopic } from '../../contracts/topics.js';
import type { CompiledView } from '../../features/compiledView.js';
import { parseEvent } from '../../features/eventContract.js';
import { interpretView } from '../../features/interpreter.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import { toVectorNumber } from '../../features/vector.js';
import type { Log } from '../../stores/log/log.js';

/** What the log says of a view: its events by key, in time, those behind their partition's watermark left out. */
export async function eventsInLog(
  log: Log,
  project: string,
  { stream, key }: CompiledView,
): Promise<{ byKey: Map<Value, LoggedEvent[]>; late: LoggedEvent[]; newest: number }> {
  const byKey = new Map<Value, LoggedEvent[]>();
  const late: LoggedEvent[] = [];
  let newestOfAll = Number.NEGATIVE_INFINITY;
  const topic = streamTopic(project, stream.name);
  for (const { partition, low, high } of await log.offsets(topic)) {
    let newest = Number.NEGATIVE_INFINITY;
    for await (const batch of log.read({ topic, partition, from: low, to: high })) {
      for (const { offset, value } of batch) {
        let event: LoggedEvent;
        try {
          event = { ...parseEvent(stream, value), partition, offset };
        } catch {
          continue;
        }
        if (event.time < newest - stream.allowedLatenessMs) {
          late.push(event);
          continue;
        }
        newest = Math.max(newest, event.time);
        const owner = event.values[key] as Value;
        byKey.set(owner, [...(byKey.get(owner) ?? []), event]);
      }
    }
    newestOfAll = Math.max(newestOfAll, newest);
  }
  return { byKey, late, newest: newestOfAll };
}

/** Values, statuses and age of a key at a time as the interpreter has them, values as in a vector. */
export function interpreted(
  view: CompiledView,
  events: readonly LoggedEvent[],
  at: number,
): { values: (number | null)[]; statuses: string[]; ageMs: number | null } {
  const { values, statuses, ageMs } = interpretView(view, events, { time: at, id: null }, false);
  return {
    values: values.map((value, index) =>
      value === null ? null : toVectorNumber((view.features[index] as CompiledView['features'][number]).type, value),
    ),
    statuses,
    ageMs,
  };
}
