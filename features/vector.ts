import type { Value, ValueType } from './types.js';

/** Powers of ten up to 10^22, all exact in a double. */
export const POWERS_OF_TEN: readonly number[] = Array.from({ length: 23 }, (_, exponent) => Number(`1e${exponent}`));

/** 10^scale; scales are bounded by MAX_SCALE when a type is made. */
export function powerOfTen(scale: number): number {
  return POWERS_OF_TEN[scale] as number;
}

/** Greatest scale of a decimal: 10^15 is the last power of ten below 2^53. */
export const MAX_SCALE = 15;

/** A value as a number of a model's vector: NaN for null, 0 or 1 for bool, value / 10^s for decimal(s). */
export function toVectorNumber(type: ValueType, value: Value): number {
  if (value === null) return Number.NaN;
  switch (type.kind) {
    case 'bool':
      return value === true ? 1 : 0;
    case 'decimal':
      return (value as number) / powerOfTen(type.scale);
    case 'int':
    case 'double':
    case 'timestamp':
      return value as number;
    case 'string':
      throw new Error('invariant broken: a string has no place in a vector');
  }
}

/** Inverse of toVectorNumber. */
export function fromVectorNumber(type: ValueType, value: number): Value {
  if (Number.isNaN(value)) return null;
  switch (type.kind) {
    case 'bool':
      return value === 1;
    case 'decimal':
      return Math.round(value * powerOfTen(type.scale));
    case 'int':
    case 'double':
    case 'timestamp':
      return value;
    case 'string':
      throw new Error('invariant broken: a string has no place in a vector');
  }
}
