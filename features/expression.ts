import type { Value, ValueType } from './types.js';

/**
 * Everything an author writes is recorded as such a tree: serialisable, typed at every node, never a closure.
 *
 * @example amount.mul(2).ge(10) on decimal(2):
 * { op: 'ge', left: { op: 'mul', left: field amount, right: literal 2 }, right: literal 10, type: bool }
 *
 * Meaning of nulls: comparisons, `and` and `or` are three-valued; arithmetic with a null is null; division by zero, an
 * integer beyond 2^53 - 1 and a double that is not finite are null; -0 becomes 0 after every operation.
 */
export type Expression =
  /** A field of the event (views) or of the request (request features). */
  | { readonly op: 'field'; readonly name: string; readonly type: ValueType }
  /** A constant in its in-memory form. */
  | { readonly op: 'literal'; readonly value: Value; readonly type: ValueType }
  /** The result of `aggregations[index]` of the view. */
  | { readonly op: 'aggregate'; readonly index: number; readonly type: ValueType }
  | { readonly op: UnaryOperator; readonly of: Expression; readonly type: ValueType }
  | { readonly op: BinaryOperator; readonly left: Expression; readonly right: Expression; readonly type: ValueType }
  | {
      readonly op: 'if';
      readonly condition: Expression;
      readonly then: Expression;
      readonly otherwise: Expression;
      readonly type: ValueType;
    }
  /** The first operand unless it is null, else the second. */
  | { readonly op: 'orElse'; readonly of: Expression; readonly otherwise: Expression; readonly type: ValueType }
  /** A part of a timestamp in an IANA zone. dayOfWeek is ISO: Monday 1 … Sunday 7. */
  | {
      readonly op: 'calendar';
      readonly part: CalendarPart;
      readonly zone: string;
      readonly of: Expression;
      readonly type: ValueType;
    };

/** Every operand is converted to double first where the type of the node is double; `toDouble` says so explicitly. */
export type UnaryOperator = 'not' | 'negate' | 'abs' | 'log1p' | 'toDouble' | 'isNull';
/**
 * add, sub, mul keep int where both sides are int, decimal(s) where scales fit (add, sub: the greater scale; mul: the
 * sum of scales), else double; div is always double.
 */
export type BinaryOperator = 'add' | 'sub' | 'mul' | 'div' | 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge' | 'and' | 'or';
export type CalendarPart = 'year' | 'month' | 'dayOfMonth' | 'dayOfWeek' | 'hour' | 'minute';
