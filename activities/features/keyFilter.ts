import type { PredictionRecord } from '../../contracts/records.js';
import type { CompiledInput, CompiledView } from '../../features/compiledView.js';
import { parseEvent } from '../../features/eventContract.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Log } from '../../stores/log/log.js';

/** Which events a sample of predictions rests on. */
export interface KeyFilter {
  /** Is it one of the sample's own requests? */
  isRequest(event: LoggedEvent): boolean;
  /** Is it of a key that one of them looks up in the view? */
  isOfKey(view: CompiledView, event: LoggedEvent): boolean;
}

/** Reads the requests of a sample: their fields say which keys are looked up. */
export async function createKeyFilter(
  log: Log,
  { request }: CompiledModel,
  sample: readonly PredictionRecord[],
  views: readonly Extract<CompiledInput, { kind: 'view' }>[],
): Promise<KeyFilter> {
  const places = new Set<string>();
  const keys = new Map<string, Set<Value>>(views.map(({ view }) => [view.hash, new Set<Value>()]));
  for (const { source } of sample) {
    const { topic, partition, offset } = source;
    places.add(`${partition}/${offset}`);
    for await (const [record] of log.read({ topic, partition, from: offset, to: offset + 1 })) {
      if (record === undefined) continue;
      const { values } = parseEvent(request, record.value);
      for (const { view, requestKey } of views) keys.get(view.hash)?.add(values[requestKey] as Value);
    }
  }
  return {
    isRequest: ({ partition, offset }) => places.has(`${partition}/${offset}`),
    isOfKey: (view, event) => keys.get(view.hash)?.has(event.values[view.key] as Value) === true,
  };
}
