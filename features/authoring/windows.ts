import { durationMs } from '../../contracts/duration.js';
import { isNumeric } from '../arithmetic.js';
import type { CompiledWindowAggregate, CompiledWindows, WindowAggregateName, WindowShape } from '../compiledWindows.js';
import type { Expression } from '../expression.js';
import { deepFreeze, hashOf } from '../hash.js';
import type { ValueType } from '../types.js';
import { Aggregate } from './aggregates.js';
import type { EventStream, FieldOfKind, FieldsOf, Schema } from './eventStream.js';
import {
  BoolExpression,
  type AuthoredExpression,
  type NumberExpression,
  type TimestampExpression,
} from './expressions.js';
import { checkName, definitionError } from './names.js';

/** An event falls into at most so many hopping windows: each is folded by itself. */
const MAX_OVERLAP = 1_000;
/** Names of an output record's own fields. */
const RECORD_FIELDS = ['key', 'start', 'end', 'revision', 'retracted'];
/** Topics of the project that others write. */
const RESERVED_TOPICS = ['late', 'duplicates', 'dead-letters', 'archive', 'drift', 'deployments'];

/** Windows over a stream, as authors use them. */
export interface Windows {
  readonly kind: 'windows';
  readonly compiled: CompiledWindows;
}

/** An aggregate that only windows have. */
export class WindowAggregate {
  constructor(
    readonly aggregate: Exclude<WindowAggregateName, Aggregate['aggregate']>,
    readonly input: Expression,
    readonly condition: Expression | null = null,
  ) {}

  /** Only events for which `condition` is true (not false, not null); several conditions must all hold. */
  where(condition: BoolExpression): WindowAggregate {
    const both = this.condition === null ? condition.node : new BoolExpression(this.condition).and(condition).node;
    return new WindowAggregate(this.aggregate, this.input, both);
  }
}

/** Least value. Null over nothing. */
export function min(input: NumberExpression | TimestampExpression): WindowAggregate {
  return new WindowAggregate('min', ordered('min', input));
}

/** Greatest value. Null over nothing. */
export function max(input: NumberExpression | TimestampExpression): WindowAggregate {
  return new WindowAggregate('max', ordered('max', input));
}

/** Value of the first event in the order (time, id) that has one, whatever the order of arrival. Null over nothing. */
export function first(input: AuthoredExpression): WindowAggregate {
  return new WindowAggregate('first', input.node);
}

/** Value of the last event in the order (time, id) that has one. Null over nothing. */
export function last(input: AuthoredExpression): WindowAggregate {
  return new WindowAggregate('last', input.node);
}

/** Number of distinct values, exactly: the state holds each of them. */
export function distinctCount(input: AuthoredExpression): WindowAggregate {
  return new WindowAggregate('distinctCount', input.node);
}

function ordered(name: string, { node }: AuthoredExpression): Expression {
  if (isNumeric(node.type) || node.type.kind === 'timestamp') return node;
  throw definitionError(name, `${node.type.kind} has no ${name}; int, decimal, double and timestamp have`);
}

/**
 * Declares aggregates over windows of a stream; `tidemill stream run window.NAME` runs them.
 *
 * @example
 * windowed('spend-per-customer', transactions)
 *   .by('customer')
 *   .tumbling('1m')
 *   .aggregate(({ amount }) => ({ count: count(), total: sum(amount), greatest: max(amount) }))
 *   .emit('onClose')
 *   .to('customer-spend')
 * @throws TidemillError DEFINITION_INVALID, NAME_INVALID
 */
export function windowed<const S extends Schema>(name: string, stream: EventStream<S>): WindowsBuilder<S> {
  checkName('windowed', name);
  return new WindowsBuilder(name, stream);
}

/** Says what windows are grouped by. */
export class WindowsBuilder<S extends Schema> {
  constructor(
    private readonly name: string,
    private readonly stream: EventStream<S>,
  ) {}

  /** One series of windows for each value of the field; where the topic has another key, events are sent on by this one. */
  by(field: FieldOfKind<S, 'int' | 'string'>): KeyedWindows<S> {
    const at = this.stream.compiled.fields.findIndex((candidate) => candidate.name === field);
    const found = this.stream.compiled.fields[at];
    if (found === undefined || found.nullable || (found.type.kind !== 'int' && found.type.kind !== 'string')) {
      throw definitionError(`${this.name}.by`, `${JSON.stringify(field)} is no required int or string of the stream`);
    }
    return new KeyedWindows(this.name, this.stream, at);
  }
}

/** Says which windows. */
export class KeyedWindows<S extends Schema> {
  constructor(
    private readonly name: string,
    private readonly stream: EventStream<S>,
    private readonly key: number,
  ) {}

  /** Windows of one length, side by side. */
  tumbling(length: string): ShapedWindows<S> {
    const lengthMs = positive(`${this.name}.tumbling`, length);
    return this.shaped({ kind: 'aligned', lengthMs, everyMs: lengthMs });
  }

  /** Windows of one length, one of which ends `every` so often. */
  hopping(length: string, options: { readonly every: string }): ShapedWindows<S> {
    const lengthMs = positive(`${this.name}.hopping`, length);
    const everyMs = positive(`${this.name}.hopping.every`, options.every);
    if (everyMs > lengthMs)
      throw definitionError(`${this.name}.hopping.every`, `${options.every} leaves out events: it is above ${length}`);
    if (Math.ceil(lengthMs / everyMs) > MAX_OVERLAP)
      throw definitionError(`${this.name}.hopping.every`, `an event would fall into more than ${MAX_OVERLAP} windows`);
    return this.shaped({ kind: 'aligned', lengthMs, everyMs });
  }

  /** Events that are less than `gap` apart. */
  session(options: { readonly gap: string }): ShapedWindows<S> {
    return this.shaped({ kind: 'session', gapMs: positive(`${this.name}.session.gap`, options.gap) });
  }

  private shaped(shape: WindowShape): ShapedWindows<S> {
    return new ShapedWindows(this.name, this.stream, this.key, shape);
  }
}

/** Says what is computed. */
export class ShapedWindows<S extends Schema> {
  constructor(
    private readonly name: string,
    private readonly stream: EventStream<S>,
    private readonly key: number,
    private readonly shape: WindowShape,
  ) {}

  /** By name of the result's field. */
  aggregate(define: (fields: FieldsOf<S>) => Readonly<Record<string, Aggregate | WindowAggregate>>): WindowsDraft {
    const aggregates: CompiledWindowAggregate[] = [];
    for (const [name, authored] of Object.entries(define(this.stream.fields))) {
      const path = `${this.name}.aggregate`;
      checkName(path, name);
      if (RECORD_FIELDS.includes(name)) throw definitionError(path, `${name} is a field that every result has`);
      if (!(authored instanceof Aggregate) && !(authored instanceof WindowAggregate))
        throw definitionError(`${path}.${name}`, 'is no aggregate: count(), sum(), mean(), min(), max(), …');
      const { aggregate, input, condition: where } = authored;
      aggregates.push({ name, aggregate, input, where, type: resultType(aggregate, input) });
    }
    if (aggregates.length === 0) throw definitionError(`${this.name}.aggregate`, 'at least one aggregate is needed');
    return new WindowsDraft({
      kind: 'windows',
      name: this.name,
      stream: this.stream.compiled,
      key: this.key,
      shape: this.shape,
      aggregates,
      emit: 'onClose',
      reviseMs: 0,
      countsDuplicates: false,
    });
  }
}

/** Windows that still lack their output. */
export class WindowsDraft {
  constructor(private readonly draft: Omit<CompiledWindows, 'hash' | 'to'>) {}

  /**
   * When results are written: `onClose` once, when no event can come any more but a late one; `onUpdate` whenever a commit
   * changed them, coalesced, each with a higher revision. @default 'onClose'
   */
  emit(emit: CompiledWindows['emit']): WindowsDraft {
    if (emit !== 'onClose' && emit !== 'onUpdate')
      throw definitionError(`${this.draft.name}.emit`, `${JSON.stringify(emit)} is neither onClose nor onUpdate`);
    return new WindowsDraft({ ...this.draft, emit });
  }

  /**
   * What becomes of an event behind the watermark: `drop` to the late topic, or, up to `update` behind it, counted, and its
   * windows written again with a higher revision. Windows are kept that much longer. @default 'drop'
   */
  late(policy: 'drop' | { readonly update: string }): WindowsDraft {
    const reviseMs = policy === 'drop' ? 0 : positive(`${this.draft.name}.late.update`, policy.update);
    return new WindowsDraft({ ...this.draft, reviseMs });
  }

  /**
   * What becomes of a record with the time, id and topic key of an earlier one: `drop` to the topic of duplicates, or
   * `count` for sources that never repeat, which spares the memory of every id. @default 'drop'
   */
  duplicates(policy: 'drop' | 'count'): WindowsDraft {
    return new WindowsDraft({ ...this.draft, countsDuplicates: policy === 'count' });
  }

  /** Results go to the topic `PROJECT.TO`, which is created with as many partitions as the stream has. */
  to(topic: string): Windows {
    checkName(`${this.draft.name}.to`, topic);
    if (RESERVED_TOPICS.includes(topic) || topic === this.draft.stream.name)
      throw definitionError(`${this.draft.name}.to`, `${topic} is a topic of the project that others write`);
    const definition = { ...this.draft, to: topic };
    return deepFreeze({ kind: 'windows', compiled: { ...definition, hash: hashOf(definition) } });
  }
}

function resultType(aggregate: WindowAggregateName, input: Expression | null): ValueType {
  if (aggregate === 'count' || aggregate === 'distinctCount' || input === null) return { kind: 'int' };
  if (aggregate === 'mean') return { kind: 'double' };
  return aggregate === 'sum' && input.type.kind === 'bool' ? { kind: 'int' } : input.type;
}

function positive(path: string, duration: string): number {
  const ms = durationMs(duration);
  if (ms === 0) throw definitionError(path, `${JSON.stringify(duration)} is empty`);
  return ms;
}
