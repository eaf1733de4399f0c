import { calculate, compareNumbers, asDouble, finiteDouble, isNumeric, safeInteger } from './arithmetic.js';
import { calendarPart } from './calendar.js';
import type { CompiledField } from './compiledView.js';
import type { BinaryOperator, Expression, UnaryOperator } from './expression.js';
import type { Value } from './types.js';

/**
 * The meaning of an expression. Comparisons, `and` and `or` are three-valued:
 *
 * | a and b   | true  | false | null  |     | a or b    | true | false | null |
 * | --------- | ----- | ----- | ----- | --- | --------- | ---- | ----- | ---- |
 * | **true**  | true  | false | null  |     | **true**  | true | true  | true |
 * | **false** | false | false | false |     | **false** | true | false | null |
 * | **null**  | null  | false | null  |     | **null**  | true | null  | null |
 */
export function evaluate(
  expression: Expression,
  field: (name: string) => Value,
  aggregate: (index: number) => Value = noAggregates,
): Value {
  switch (expression.op) {
    case 'field':
      return field(expression.name);
    case 'literal':
      return expression.value;
    case 'aggregate':
      return aggregate(expression.index);
    case 'calendar': {
      const time = evaluate(expression.of, field, aggregate);
      return time === null ? null : calendarPart(expression.part, expression.zone, time as number);
    }
    case 'if':
      return evaluate(expression.condition, field, aggregate) === true
        ? evaluate(expression.then, field, aggregate)
        : evaluate(expression.otherwise, field, aggregate);
    case 'orElse':
      return evaluate(expression.of, field, aggregate) ?? evaluate(expression.otherwise, field, aggregate);
    case 'not':
    case 'negate':
    case 'abs':
    case 'log1p':
    case 'toDouble':
    case 'isNull':
      return applyUnary(expression.op, expression.of, evaluate(expression.of, field, aggregate));
    default:
      return applyBinary(
        expression,
        evaluate(expression.left, field, aggregate),
        evaluate(expression.right, field, aggregate),
      );
  }
}

function noAggregates(): never {
  throw new Error('invariant broken: an aggregate outside a view');
}

function applyUnary(op: UnaryOperator, of: Expression, value: Value): Value {
  if (op === 'isNull') return value === null;
  if (value === null) return null;
  if (op === 'not') return !(value as boolean);
  const number = value as number;
  switch (op) {
    case 'toDouble':
      return finiteDouble(asDouble(of.type, number));
    case 'log1p':
      return finiteDouble(Math.log1p(asDouble(of.type, number)));
    case 'abs':
      return of.type.kind === 'double' ? finiteDouble(Math.abs(number)) : safeInteger(Math.abs(number));
    case 'negate':
      return of.type.kind === 'double' ? finiteDouble(-number) : safeInteger(-number);
  }
}

type BinaryExpression = Extract<Expression, { op: BinaryOperator }>;

function applyBinary(expression: BinaryExpression, left: Value, right: Value): Value {
  const { op } = expression;
  if (op === 'and') return left === false || right === false ? false : left === null || right === null ? null : true;
  if (op === 'or') return left === true || right === true ? true : left === null || right === null ? null : false;
  if (left === null || right === null) return null;
  if (op === 'add' || op === 'sub' || op === 'mul' || op === 'div') {
    return calculate(op, expression.type, expression.left.type, left as number, expression.right.type, right as number);
  }
  if (op === 'eq' && !isNumeric(expression.left.type)) return left === right;
  if (op === 'ne' && !isNumeric(expression.left.type)) return left !== right;
  const order = compareNumbers(expression.left.type, left as number, expression.right.type, right as number);
  switch (op) {
    case 'eq':
      return order === 0;
    case 'ne':
      return order !== 0;
    case 'lt':
      return order < 0;
    case 'le':
      return order <= 0;
    case 'gt':
      return order > 0;
    case 'ge':
      return order >= 0;
  }
}

/** A compiled expression: `values` in the order of the fields it was compiled for. */
export type CompiledExpression = (values: readonly Value[], aggregates?: readonly Value[]) => Value;

/**
 * The same meaning as closures that are built once: for hot paths. Held to `evaluate` by a property test.
 */
export function compileExpression(expression: Expression, fields: readonly CompiledField[]): CompiledExpression {
  switch (expression.op) {
    case 'field': {
      const at = fields.findIndex(({ name }) => name === expression.name);
      if (at === -1) throw new Error(`invariant broken: no field ${expression.name}`);
      return (values) => values[at] as Value;
    }
    case 'literal': {
      const { value } = expression;
      return () => value;
    }
    case 'aggregate': {
      const { index } = expression;
      return (_, aggregates) => (aggregates as readonly Value[])[index] as Value;
    }
    case 'calendar': {
      const of = compileExpression(expression.of, fields);
      const { part, zone } = expression;
      return (values, aggregates) => {
        const time = of(values, aggregates);
        return time === null ? null : calendarPart(part, zone, time as number);
      };
    }
    case 'if': {
      const condition = compileExpression(expression.condition, fields);
      const then = compileExpression(expression.then, fields);
      const otherwise = compileExpression(expression.otherwise, fields);
      return (values, aggregates) =>
        condition(values, aggregates) === true ? then(values, aggregates) : otherwise(values, aggregates);
    }
    case 'orElse': {
      const of = compileExpression(expression.of, fields);
      const otherwise = compileExpression(expression.otherwise, fields);
      return (values, aggregates) => of(values, aggregates) ?? otherwise(values, aggregates);
    }
    case 'not':
    case 'negate':
    case 'abs':
    case 'log1p':
    case 'toDouble':
    case 'isNull': {
      const { op, of } = expression;
      const operand = compileExpression(of, fields);
      return (values, aggregates) => applyUnary(op, of, operand(values, aggregates));
    }
    default: {
      const left = compileExpression(expression.left, fields);
      const right = compileExpression(expression.right, fields);
      return (values, aggregates) => applyBinary(expression, left(values, aggregates), right(values, aggregates));
    }
  }
}
