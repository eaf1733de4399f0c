import { isNumeric, scaleOf } from '../arithmetic.js';
import { isZone } from '../calendar.js';
import type { BinaryOperator, CalendarPart, Expression } from '../expression.js';
import type { Value, ValueType } from '../types.js';
import { MAX_SCALE, powerOfTen } from '../vector.js';
import { definitionError } from './names.js';
import type { Kind } from './valueTypes.js';

const DOUBLE: ValueType = { kind: 'double' };
const BOOL: ValueType = { kind: 'bool' };
const INT: ValueType = { kind: 'int' };

/** What an author holds: a typed expression that records what is done with it. */
export abstract class AuthoredExpression {
  constructor(readonly node: Expression) {}

  get type(): ValueType {
    return this.node.type;
  }

  /** True where the value is null. */
  isNull(): BoolExpression {
    return new BoolExpression({ op: 'isNull', of: this.node, type: BOOL });
  }
}

/** int, decimal or double. */
export class NumberExpression extends AuthoredExpression {
  add(other: NumberOperand): NumberExpression {
    return arithmetic('add', this, other);
  }
  sub(other: NumberOperand): NumberExpression {
    return arithmetic('sub', this, other);
  }
  mul(other: NumberOperand): NumberExpression {
    return arithmetic('mul', this, other);
  }
  /** Always a double; null where `other` is 0. */
  div(other: NumberOperand): NumberExpression {
    return arithmetic('div', this, other);
  }
  negate(): NumberExpression {
    return new NumberExpression({ op: 'negate', of: this.node, type: this.type });
  }
  abs(): NumberExpression {
    return new NumberExpression({ op: 'abs', of: this.node, type: this.type });
  }
  /** ln(1 + x); null where that is not finite. */
  log1p(): NumberExpression {
    return new NumberExpression({ op: 'log1p', of: this.node, type: DOUBLE });
  }
  toDouble(): NumberExpression {
    return new NumberExpression({ op: 'toDouble', of: this.node, type: DOUBLE });
  }
  eq(other: NumberOperand): BoolExpression {
    return comparison('eq', this, numberNode(other, this.type));
  }
  ne(other: NumberOperand): BoolExpression {
    return comparison('ne', this, numberNode(other, this.type));
  }
  lt(other: NumberOperand): BoolExpression {
    return comparison('lt', this, numberNode(other, this.type));
  }
  le(other: NumberOperand): BoolExpression {
    return comparison('le', this, numberNode(other, this.type));
  }
  gt(other: NumberOperand): BoolExpression {
    return comparison('gt', this, numberNode(other, this.type));
  }
  ge(other: NumberOperand): BoolExpression {
    return comparison('ge', this, numberNode(other, this.type));
  }
  /** This value, or `value` where it is null. */
  orElse(value: NumberOperand): NumberExpression {
    return orElse(this, numberNode(value, this.type));
  }
}

export class BoolExpression extends AuthoredExpression {
  and(other: BoolExpression): BoolExpression {
    return new BoolExpression({ op: 'and', left: this.node, right: other.node, type: BOOL });
  }
  or(other: BoolExpression): BoolExpression {
    return new BoolExpression({ op: 'or', left: this.node, right: other.node, type: BOOL });
  }
  not(): BoolExpression {
    return new BoolExpression({ op: 'not', of: this.node, type: BOOL });
  }
  eq(other: BoolExpression | boolean): BoolExpression {
    return comparison('eq', this, boolNode(other));
  }
  /** `then` where this is true, else (false or null) `otherwise`. */
  if(then: NumberOperand, otherwise: NumberOperand): NumberExpression {
    const thenNode = numberNode(then, typeof otherwise === 'number' ? INT : otherwise.type);
    const otherwiseNode = numberNode(otherwise, thenNode.type);
    const [left, right] = unified(thenNode, otherwiseNode);
    return new NumberExpression({ op: 'if', condition: this.node, then: left, otherwise: right, type: left.type });
  }
  orElse(value: boolean): BoolExpression {
    return new BoolExpression({ op: 'orElse', of: this.node, otherwise: boolNode(value), type: BOOL });
  }
}

export class StringExpression extends AuthoredExpression {
  eq(other: StringExpression | string): BoolExpression {
    return comparison('eq', this, stringNode(other));
  }
  ne(other: StringExpression | string): BoolExpression {
    return comparison('ne', this, stringNode(other));
  }
}

/** Calendar parts name their IANA zone. */
export class TimestampExpression extends AuthoredExpression {
  year(zone: string): NumberExpression {
    return calendar('year', zone, this);
  }
  month(zone: string): NumberExpression {
    return calendar('month', zone, this);
  }
  dayOfMonth(zone: string): NumberExpression {
    return calendar('dayOfMonth', zone, this);
  }
  /** ISO: Monday 1 … Sunday 7. */
  dayOfWeek(zone: string): NumberExpression {
    return calendar('dayOfWeek', zone, this);
  }
  hour(zone: string): NumberExpression {
    return calendar('hour', zone, this);
  }
  minute(zone: string): NumberExpression {
    return calendar('minute', zone, this);
  }
  lt(other: TimestampExpression): BoolExpression {
    return comparison('lt', this, other.node);
  }
  ge(other: TimestampExpression): BoolExpression {
    return comparison('ge', this, other.node);
  }
}

export type NumberOperand = NumberExpression | number;

/** The expression class of a kind of value. */
export type ExpressionOf<K extends Kind> = K extends 'int' | 'decimal' | 'double'
  ? NumberExpression
  : K extends 'bool'
    ? BoolExpression
    : K extends 'string'
      ? StringExpression
      : TimestampExpression;

/** An expression for a node of any type. */
export function expressionOf(node: Expression): AuthoredExpression {
  switch (node.type.kind) {
    case 'int':
    case 'decimal':
    case 'double':
      return new NumberExpression(node);
    case 'bool':
      return new BoolExpression(node);
    case 'string':
      return new StringExpression(node);
    case 'timestamp':
      return new TimestampExpression(node);
  }
}

/**
 * A number as a literal that fits next to `beside`: exact where it can be (10 beside decimal(2) is 1000), else a double.
 */
export function numberNode(operand: NumberOperand, beside: ValueType): Expression {
  if (operand instanceof NumberExpression) return operand.node;
  if (typeof operand !== 'number' || !Number.isFinite(operand)) {
    throw definitionError('literal', `${String(operand)} is not a finite number`, { value: operand });
  }
  if (beside.kind !== 'double') {
    const scale = scaleOf(beside);
    const scaled = Math.round(operand * powerOfTen(scale));
    if (Number.isSafeInteger(scaled) && scaled / powerOfTen(scale) === operand) {
      return literal(scaled + 0, isNumeric(beside) ? beside : INT);
    }
  }
  return literal(operand + 0, DOUBLE);
}

export function literal(value: Value, type: ValueType): Expression {
  return { op: 'literal', value, type };
}

function boolNode(operand: BoolExpression | boolean): Expression {
  if (operand instanceof BoolExpression) return operand.node;
  if (typeof operand !== 'boolean')
    throw definitionError('literal', `${String(operand)} is not true or false`, { value: operand });
  return literal(operand, BOOL);
}

function stringNode(operand: StringExpression | string): Expression {
  if (operand instanceof StringExpression) return operand.node;
  if (typeof operand !== 'string')
    throw definitionError('literal', `${String(operand)} is not a string`, { value: operand });
  return literal(operand, { kind: 'string' });
}

/** Type of left op right: exact while both are, double otherwise and for every division. */
export function arithmeticType(op: 'add' | 'sub' | 'mul' | 'div', left: ValueType, right: ValueType): ValueType {
  if (op === 'div' || left.kind === 'double' || right.kind === 'double') return DOUBLE;
  const scale = op === 'mul' ? scaleOf(left) + scaleOf(right) : Math.max(scaleOf(left), scaleOf(right));
  if (left.kind === 'int' && right.kind === 'int') return INT;
  return scale > MAX_SCALE ? DOUBLE : { kind: 'decimal', scale };
}

function arithmetic(op: 'add' | 'sub' | 'mul' | 'div', left: NumberExpression, right: NumberOperand): NumberExpression {
  if (!isNumeric(left.type)) throw definitionError(op, `${left.type.kind} is not a number`);
  const node = numberNode(right, left.type);
  if (!isNumeric(node.type)) throw definitionError(op, `${node.type.kind} is not a number`);
  return new NumberExpression({ op, left: left.node, right: node, type: arithmeticType(op, left.type, node.type) });
}

function comparison(op: BinaryOperator, left: AuthoredExpression, right: Expression): BoolExpression {
  const comparable = left.type.kind === right.type.kind || (isNumeric(left.type) && isNumeric(right.type));
  if (!comparable) throw definitionError(op, `${left.type.kind} does not compare with ${right.type.kind}`);
  return new BoolExpression({ op, left: left.node, right, type: BOOL });
}

/** Both nodes as one type: equal, or both as doubles. */
function unified(left: Expression, right: Expression): [Expression, Expression] {
  const same = left.type.kind === right.type.kind && scaleOf(left.type) === scaleOf(right.type);
  return same ? [left, right] : [asDoubleNode(left), asDoubleNode(right)];
}

function asDoubleNode(node: Expression): Expression {
  return node.type.kind === 'double' ? node : { op: 'toDouble', of: node, type: DOUBLE };
}

function orElse(of: NumberExpression, otherwise: Expression): NumberExpression {
  const [left, right] = unified(of.node, otherwise);
  return new NumberExpression({ op: 'orElse', of: left, otherwise: right, type: left.type });
}

function calendar(part: CalendarPart, zone: string, of: TimestampExpression): NumberExpression {
  if (typeof zone !== 'string' || !isZone(zone)) {
    throw definitionError(part, `${JSON.stringify(zone)} is not an IANA time zone such as UTC or Europe/Berlin`, {
      zone,
    });
  }
  return new NumberExpression({ op: 'calendar', part, zone, of: of.node, type: INT });
}
