import type { ValueType } from '../types.js';
import { checkName, definitionError } from './names.js';
import type { FieldType } from './valueTypes.js';

/** What features are about. */
export interface Entity {
  readonly kind: 'entity';
  readonly name: string;
  readonly type: ValueType;
}

/**
 * @param type of the entity's value: int or string.
 * @example const customer = entity('customer', t.int())
 */
export function entity(name: string, type: FieldType): Entity {
  checkName('entity', name);
  if (type.kind !== 'int' && type.kind !== 'string') {
    throw definitionError(`entity ${name}`, `a key of type ${type.kind} cannot identify an entity; int and string can`);
  }
  return Object.freeze({ kind: 'entity', name, type: type.type });
}
