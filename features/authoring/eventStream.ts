import { durationMs } from '../../contracts/duration.js';
import type { CompiledField, CompiledStream } from '../compiledView.js';
import { deepFreeze, hashOf } from '../hash.js';
import { expressionOf, type ExpressionOf } from './expressions.js';
import { checkName, definitionError } from './names.js';
import type { FieldType, Kind } from './valueTypes.js';

export type Schema = Readonly<Record<string, FieldType>>;

/** The fields of a schema as typed expressions. */
export type FieldsOf<S extends Schema> = { readonly [K in keyof S]: ExpressionOf<S[K]['kind']> };

/** Names of the fields of a schema that are of one of the kinds. */
export type FieldOfKind<S extends Schema, K extends Kind> = {
  [N in keyof S]: S[N]['kind'] extends K ? N : never;
}[keyof S] &
  string;

export interface EventStreamOptions<S extends Schema> {
  /** Fields in order. */
  readonly schema: S;
  /** Field that identifies an event together with its time and key: int or string, required. */
  readonly eventId: FieldOfKind<S, 'int' | 'string'>;
  /** Field with the event time: timestamp, required. */
  readonly eventTime: FieldOfKind<S, 'timestamp'>;
  /** Field by which the topic is keyed: int or string, required. */
  readonly key: FieldOfKind<S, 'int' | 'string'>;
  /** How far behind the newest event of its partition an event may be and still count. @default '0ms' */
  readonly allowedLateness?: string;
  /** How far an event time may be ahead of its log timestamp. @default '1h' */
  readonly maxFuture?: string;
  /** Fields with personal data: masked wherever they are shown. @default [] */
  readonly personal?: readonly (keyof S & string)[];
  /** The stream whose events these label; ids are those of the labelled events. */
  readonly labels?: EventStream;
}

/** A contract of events, as authors use it. */
export interface EventStream<S extends Schema = Schema> {
  readonly kind: 'eventStream';
  readonly compiled: CompiledStream;
  readonly fields: FieldsOf<S>;
  /** A reference to one field, for `label:` of a model. */
  field(name: keyof S & string): FieldReference;
}

export interface FieldReference {
  readonly stream: CompiledStream;
  readonly field: number;
}

/**
 * Declares a stream of events.
 *
 * @example
 * const transactions = eventStream('transactions', {
 *   schema: { id: t.int(), at: t.timestamp(), customer: t.int(), amount: t.decimal(2) },
 *   eventId: 'id', eventTime: 'at', key: 'customer', allowedLateness: '10m',
 * })
 * @throws TidemillError DEFINITION_INVALID, NAME_INVALID
 */
export function eventStream<const S extends Schema>(name: string, options: EventStreamOptions<S>): EventStream<S> {
  checkName('eventStream', name);
  const fields: CompiledField[] = Object.entries(options.schema).map(([field, type]) => {
    checkName(`${name}.schema`, field);
    return { name: field, type: type.type, nullable: type.isNullable };
  });
  const indexOf = (option: string, field: string, kinds: readonly Kind[]): number => {
    const at = fields.findIndex((candidate) => candidate.name === field);
    const found = fields[at];
    if (found === undefined)
      throw definitionError(`${name}.${option}`, `the schema has no field ${JSON.stringify(field)}`);
    if (!kinds.includes(found.type.kind)) {
      throw definitionError(`${name}.${option}`, `${field} is ${found.type.kind}; it must be ${kinds.join(' or ')}`);
    }
    if (found.nullable) throw definitionError(`${name}.${option}`, `${field} is nullable; it must be required`);
    return at;
  };
  for (const personal of options.personal ?? []) {
    if (!fields.some((field) => field.name === personal)) {
      throw definitionError(`${name}.personal`, `the schema has no field ${JSON.stringify(personal)}`);
    }
  }
  const definition: Omit<CompiledStream, 'hash'> = {
    kind: 'stream',
    name,
    fields,
    eventId: indexOf('eventId', options.eventId, ['int', 'string']),
    eventTime: indexOf('eventTime', options.eventTime, ['timestamp']),
    topicKey: indexOf('key', options.key, ['int', 'string']),
    allowedLatenessMs: durationMs(options.allowedLateness ?? '0ms'),
    maxFutureMs: durationMs(options.maxFuture ?? '1h'),
    personal: options.personal ?? [],
    labels: options.labels?.compiled.name ?? null,
  };
  const compiled: CompiledStream = deepFreeze({ ...definition, hash: hashOf(definition) });
  return Object.freeze({
    kind: 'eventStream',
    compiled,
    fields: fieldExpressions(compiled) as FieldsOf<S>,
    field: (field: keyof S & string) => {
      const at = compiled.fields.findIndex((candidate) => candidate.name === field);
      if (at === -1) throw definitionError(`${name}.field`, `the schema has no field ${JSON.stringify(field)}`);
      return { stream: compiled, field: at };
    },
  });
}

/** The fields of a stream as expressions, by name. */
export function fieldExpressions(stream: CompiledStream): Record<string, ReturnType<typeof expressionOf>> {
  return Object.fromEntries(stream.fields.map(({ name, type }) => [name, expressionOf({ op: 'field', name, type })]));
}
