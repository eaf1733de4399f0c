import type { CompiledField, CompiledStream } from '../../../features/compiledView.js';
import type { CompiledWindows } from '../../../features/compiledWindows.js';
import type { Expression } from '../../../features/expression.js';

/** What the tasks of a window topology have in common. */
export interface WindowPlan {
  readonly project: string;
  readonly windows: CompiledWindows;
  readonly partitions: number;
  /** Are broken, late and repeated records set aside here? One topology of the stream does it. */
  readonly setsAside: boolean;
  /** Indices in the stream of the fields that windows need: time, id, key and what is aggregated. */
  readonly carriedFields: readonly number[];
  /** The stream with these fields alone: what an event is on its way between tasks. */
  readonly carried: CompiledStream;
  /** Index of the windows' key in `carried`. */
  readonly carriedKey: number;
}

/** @see WindowPlan */
export function planWindows(options: Pick<WindowPlan, 'project' | 'windows' | 'partitions' | 'setsAside'>): WindowPlan {
  const { stream, key, aggregates } = options.windows;
  const names = new Set<string>();
  for (const { input, where } of aggregates) {
    if (input !== null) collectFields(input, names);
    if (where !== null) collectFields(where, names);
  }
  const own = [stream.eventId, stream.eventTime, key];
  const carriedFields = stream.fields.flatMap(({ name }, at) => (own.includes(at) || names.has(name) ? [at] : []));
  const carried: CompiledStream = {
    ...stream,
    fields: carriedFields.map((at) => stream.fields[at] as CompiledField),
    eventId: carriedFields.indexOf(stream.eventId),
    eventTime: carriedFields.indexOf(stream.eventTime),
    topicKey: carriedFields.indexOf(key),
  };
  return { ...options, carriedFields, carried, carriedKey: carriedFields.indexOf(key) };
}

/** Names of the fields that an expression reads. */
function collectFields(expression: Expression, names: Set<string>): void {
  if (expression.op === 'field') names.add(expression.name);
  for (const part of Object.values(expression) as unknown[])
    if (part !== null && typeof part === 'object' && 'op' in part) collectFields(part as Expression, names);
}
