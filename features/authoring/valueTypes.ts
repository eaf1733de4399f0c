import type { ValueType } from '../types.js';
import { MAX_SCALE } from '../vector.js';
import { definitionError } from './names.js';

export type Kind = ValueType['kind'];

/** Type of a field as an author writes it. Fields are required unless `.nullable()`. */
export interface FieldType<K extends Kind = Kind> {
  readonly kind: K;
  readonly type: ValueType;
  readonly isNullable: boolean;
  nullable(): FieldType<K>;
}

function fieldType<K extends Kind>(type: ValueType & { kind: K }, isNullable = false): FieldType<K> {
  return Object.freeze({ kind: type.kind, type, isNullable, nullable: () => fieldType(type, true) });
}

/**
 * Types of fields.
 *
 * @example { id: t.int(), at: t.timestamp(), amount: t.decimal(2), note: t.string().nullable() }
 */
export const t = {
  /** Safe integer, |x| <= 2^53 - 1; larger ids are strings. */
  int: (): FieldType<'int'> => fieldType({ kind: 'int' }),
  /** Exact decimal with `scale` digits after the point, 0 to 15. Held as a scaled integer. */
  decimal: (scale: number): FieldType<'decimal'> => {
    if (!Number.isInteger(scale) || scale < 0 || scale > MAX_SCALE) {
      throw definitionError('t.decimal', `scale ${scale} is not an integer from 0 to ${MAX_SCALE}`, { scale });
    }
    return fieldType({ kind: 'decimal', scale });
  },
  /** Finite double. */
  double: (): FieldType<'double'> => fieldType({ kind: 'double' }),
  bool: (): FieldType<'bool'> => fieldType({ kind: 'bool' }),
  string: (): FieldType<'string'> => fieldType({ kind: 'string' }),
  /** ms UTC. */
  timestamp: (): FieldType<'timestamp'> => fieldType({ kind: 'timestamp' }),
} as const;
