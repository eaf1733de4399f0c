import { HOUR_MS } from '../../contracts/duration.js';
import { isNumeric, scaleOf } from '../arithmetic.js';
import type { CalendarPart, Expression } from '../expression.js';
import type { Value, ValueType } from '../types.js';
import { doubleLiteral, finiteSql, integerLiteral, safeIntegerSql, textLiteral } from './sqlText.js';

/**
 * An expression as SQL with the same meaning as `evaluate`. Exact numbers and timestamps are BIGINT in their in-memory
 * form and calculate in HUGEINT, so that an overflow is seen (and is null) instead of an error.
 *
 * @param field SQL of a field in its in-memory form.
 * @param aggregate SQL of the aggregation with that index.
 */
export function lowerExpression(
  expression: Expression,
  field: (name: string) => string,
  aggregate: (index: number) => string = noAggregates,
): string {
  const lower = (each: Expression): string => lowerExpression(each, field, aggregate);
  // Fields are safe integers; sums need not be, and are no operands then.
  const operand = (each: Expression): Operand => ({
    type: each.type,
    sql: aggregate === noAggregates || each.type.kind === 'double' ? lower(each) : safeIntegerSql(lower(each)),
  });
  switch (expression.op) {
    case 'field':
      return field(expression.name);
    case 'literal':
      return literalSql(expression.type, expression.value);
    case 'aggregate':
      return aggregate(expression.index);
    case 'calendar':
      return calendarSql(expression.part, expression.zone, lower(expression.of));
    case 'if':
      // A null condition is not true.
      return `(CASE WHEN ${lower(expression.condition)} THEN ${lower(expression.then)} ELSE ${lower(expression.otherwise)} END)`;
    case 'orElse':
      return `coalesce(${lower(expression.of)}, ${lower(expression.otherwise)})`;
    case 'isNull':
      return `((${lower(expression.of)}) IS NULL)`;
    case 'not':
      return `(NOT ${lower(expression.of)})`;
    case 'negate':
    case 'abs': {
      const call = expression.op === 'abs' ? 'abs' : '-';
      const { of } = expression;
      return of.type.kind === 'double'
        ? `(${finiteSql(`${call}(${lower(of)})`)})`
        : safeIntegerSql(`${call}(CAST(${lower(of)} AS HUGEINT))`);
    }
    case 'toDouble':
      return `(${finiteSql(doubleSql(expression.of.type, lower(expression.of)))})`;
    case 'log1p':
      return log1pSql(doubleSql(expression.of.type, lower(expression.of)));
    case 'and':
    case 'or':
      return `(${lower(expression.left)} ${expression.op.toUpperCase()} ${lower(expression.right)})`;
    case 'add':
    case 'sub':
    case 'mul':
    case 'div':
      return arithmeticSql(expression.op, expression.type, operand(expression.left), operand(expression.right));
    default:
      return comparisonSql(expression.op, operand(expression.left), operand(expression.right));
  }
}

function noAggregates(): never {
  throw new Error('invariant broken: an aggregate outside a view');
}

interface Operand {
  readonly type: ValueType;
  readonly sql: string;
}

export function literalSql(type: ValueType, value: Value): string {
  if (value === null) return `CAST(NULL AS ${columnType(type)})`;
  switch (type.kind) {
    case 'bool':
      return value === true ? 'TRUE' : 'FALSE';
    case 'string':
      return textLiteral(value as string);
    case 'double':
      return doubleLiteral(value as number);
    case 'int':
    case 'decimal':
    case 'timestamp':
      return integerLiteral(value as number);
  }
}

/** SQL type of a column that holds values of a type in their in-memory form. */
export function columnType(type: ValueType): 'BIGINT' | 'DOUBLE' | 'BOOLEAN' | 'VARCHAR' {
  switch (type.kind) {
    case 'bool':
      return 'BOOLEAN';
    case 'string':
      return 'VARCHAR';
    case 'double':
      return 'DOUBLE';
    case 'int':
    case 'decimal':
    case 'timestamp':
      return 'BIGINT';
  }
}

/** A number as a double: decimal(s) is value / 10^s. */
export function doubleSql(type: ValueType, sql: string): string {
  if (type.kind === 'double') return sql;
  return type.kind === 'decimal'
    ? `(CAST(${sql} AS DOUBLE) / CAST('1e${type.scale}' AS DOUBLE))`
    : `CAST(${sql} AS DOUBLE)`;
}

function arithmeticSql(op: 'add' | 'sub' | 'mul' | 'div', type: ValueType, left: Operand, right: Operand): string {
  const sign = { add: '+', sub: '-', mul: '*', div: '/' }[op];
  if (type.kind === 'double') {
    const divisor = doubleSql(right.type, right.sql);
    return `(${finiteSql(`(${doubleSql(left.type, left.sql)} ${sign} ${op === 'div' ? `nullif(${divisor}, 0)` : divisor})`)})`;
  }
  if (op === 'mul') return safeIntegerSql(`(${hugeSql(left)} * ${hugeSql(right)})`);
  const scale = scaleOf(type);
  return safeIntegerSql(`(${rescaledSql(left, scale)} ${sign} ${rescaledSql(right, scale)})`);
}

function hugeSql({ sql }: Operand): string {
  return `CAST(${sql} AS HUGEINT)`;
}

/** At a greater scale; null where that leaves the safe integers. */
function rescaledSql(operand: Operand, scale: number): string {
  const by = scale - scaleOf(operand.type);
  if (by === 0) return hugeSql(operand);
  return `CAST(${safeIntegerSql(`(${hugeSql(operand)} * ${10n ** BigInt(by)})`)} AS HUGEINT)`;
}

function comparisonSql(op: 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge', left: Operand, right: Operand): string {
  const sign = { eq: '=', ne: '<>', lt: '<', le: '<=', gt: '>', ge: '>=' }[op];
  if (!isNumeric(left.type)) return `(${left.sql} ${sign} ${right.sql})`;
  if (left.type.kind === 'double' || right.type.kind === 'double') {
    return `(${doubleSql(left.type, left.sql)} ${sign} ${doubleSql(right.type, right.sql)})`;
  }
  const scale = Math.max(scaleOf(left.type), scaleOf(right.type));
  const exact = (operand: Operand): string => {
    const by = scale - scaleOf(operand.type);
    return by === 0 ? operand.sql : `(${hugeSql(operand)} * ${10n ** BigInt(by)})`;
  };
  return `(${exact(left)} ${sign} ${exact(right)})`;
}

/**
 * ln(1 + x), which DuckDB lacks: with u = 1 + x, ln(u) * x / (u - 1), and x itself where u is 1 (W. Kahan's formula,
 * a few ulp). Null at and below -1, where DuckDB's ln would fail.
 */
function log1pSql(x: string): string {
  return `list_transform([${x}], v -> CASE WHEN v <= -1.0::DOUBLE THEN NULL WHEN 1.0::DOUBLE + v = 1.0::DOUBLE THEN v + 0.0::DOUBLE
    WHEN v > 1e300::DOUBLE THEN ln(v) ELSE ln(1.0::DOUBLE + v) * (v / ((1.0::DOUBLE + v) - 1.0::DOUBLE)) END)[1]`;
}

/** Parts of UTC that are plain arithmetic are so; years and months, and other zones, by the calendar functions. */
function calendarSql(part: CalendarPart, zone: string, time: string): string {
  const floorMod = (divisor: number): string => `((${time} % ${divisor} + ${divisor}) % ${divisor})`;
  if (zone === 'UTC') {
    if (part === 'hour') return `(${floorMod(24 * HOUR_MS)} // ${HOUR_MS})`;
    if (part === 'minute') return `(${floorMod(HOUR_MS)} // 60000)`;
  }
  const name = { year: 'year', month: 'month', dayOfMonth: 'day', dayOfWeek: 'isodow', hour: 'hour', minute: 'minute' };
  const stamp = `epoch_ms(${time})`;
  const local = zone === 'UTC' ? stamp : `timezone(${textLiteral(zone)}, timezone('UTC', ${stamp}))`;
  return `extract('${name[part]}' FROM ${local})`;
}
