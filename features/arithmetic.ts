import type { ValueType } from './types.js';
import { powerOfTen } from './vector.js';

/**
 * Arithmetic of the feature language on in-memory values. A null in is a null out; so is division by zero, an integer
 * beyond 2^53 - 1 and a double that is not finite; -0 becomes 0.
 *
 * @example decimal(2) 12.34 is 1234 and decimal(1) 0.5 is 5: their sum has scale 2: 1234 + 50 = 1284, that is 12.84.
 */

/** An integer result: null when it is not exact. */
export function safeInteger(value: number): number | null {
  return Number.isSafeInteger(value) ? value + 0 : null;
}

/** A double result: null when it is not finite. `+ 0` turns -0 into 0. */
export function finiteDouble(value: number): number | null {
  return Number.isFinite(value) ? value + 0 : null;
}

export function isNumeric(type: ValueType): boolean {
  return type.kind === 'int' || type.kind === 'decimal' || type.kind === 'double';
}

/** Scale of an exact number: 0 for int. */
export function scaleOf(type: ValueType): number {
  return type.kind === 'decimal' ? type.scale : 0;
}

/** An exact number as a double: decimal(s) is value / 10^s. */
export function asDouble(type: ValueType, value: number): number {
  return type.kind === 'decimal' ? value / powerOfTen(type.scale) : value;
}

/** An exact value at a greater scale; null when it does not fit. */
export function rescale(value: number, from: number, to: number): number | null {
  return from === to ? value : safeInteger(value * powerOfTen(to - from));
}

/**
 * Order of two numbers of any numeric types. Exact numbers of different scales compare exactly, also where rescaling
 * would leave the safe integers.
 */
export function compareNumbers(leftType: ValueType, left: number, rightType: ValueType, right: number): number {
  if (leftType.kind === 'double' || rightType.kind === 'double') {
    const a = asDouble(leftType, left);
    const b = asDouble(rightType, right);
    return a < b ? -1 : a > b ? 1 : 0;
  }
  const scale = Math.max(scaleOf(leftType), scaleOf(rightType));
  const a = rescale(left, scaleOf(leftType), scale);
  const b = rescale(right, scaleOf(rightType), scale);
  if (a !== null && b !== null) return a < b ? -1 : a > b ? 1 : 0;
  const exactA = BigInt(left) * 10n ** BigInt(scale - scaleOf(leftType));
  const exactB = BigInt(right) * 10n ** BigInt(scale - scaleOf(rightType));
  return exactA < exactB ? -1 : exactA > exactB ? 1 : 0;
}

/**
 * add, sub, mul, div with a result of `type`; operands of the given types. An exact operand beyond 2^53 - 1 (a sum may be)
 * is no longer known to the last digit: null.
 */
export function calculate(
  op: 'add' | 'sub' | 'mul' | 'div',
  type: ValueType,
  leftType: ValueType,
  left: number,
  rightType: ValueType,
  right: number,
): number | null {
  if (leftType.kind !== 'double' && !Number.isSafeInteger(left)) return null;
  if (rightType.kind !== 'double' && !Number.isSafeInteger(right)) return null;
  if (type.kind === 'double') {
    const a = asDouble(leftType, left);
    const b = asDouble(rightType, right);
    if (op === 'add') return finiteDouble(a + b);
    if (op === 'sub') return finiteDouble(a - b);
    if (op === 'mul') return finiteDouble(a * b);
    return b === 0 ? null : finiteDouble(a / b);
  }
  if (op === 'mul') return safeInteger(left * right);
  const scale = scaleOf(type);
  const a = rescale(left, scaleOf(leftType), scale);
  const b = rescale(right, scaleOf(rightType), scale);
  if (a === null || b === null) return null;
  return safeInteger(op === 'add' ? a + b : a - b);
}
