/** Pieces of SQL text in DuckDB's dialect. Names and values of users reach SQL through these alone. */

/** A quoted identifier. */
export function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** A string literal. A NUL character cannot stand in SQL text and is written as chr(0). */
export function textLiteral(text: string): string {
  const parts = text.split('\0').map((part) => `'${part.replaceAll("'", "''")}'`);
  return parts.length === 1 ? (parts[0] as string) : `(${parts.join(' || chr(0) || ')})`;
}

/** An exact integer literal as BIGINT. */
export function integerLiteral(value: number): string {
  return `CAST(${BigInt(value)} AS BIGINT)`;
}

/** A double literal: the text that reads back as the very same double. */
export function doubleLiteral(value: number): string {
  return `CAST('${value}' AS DOUBLE)`;
}

/** 2^53: the first integer that a JavaScript number does not tell from its neighbour. */
const UNSAFE = 9007199254740992n;

/** An exact (HUGEINT) result as BIGINT, null beyond 2^53 - 1. Names its argument once. */
export function safeIntegerSql(exact: string): string {
  return `CAST(nullif(nullif(greatest(least(${exact}, ${UNSAFE}), -${UNSAFE}), ${UNSAFE}), -${UNSAFE}) AS BIGINT)`;
}

/** A double result, null where it is not finite; -0 becomes 0. Names its argument once. */
export function finiteSql(double: string): string {
  return `nullif(nullif(nullif(${double}, 'nan'::DOUBLE), 'inf'::DOUBLE), '-inf'::DOUBLE) + 0.0::DOUBLE`;
}
