import { Type } from '@sinclair/typebox';
import { checkInput } from './checkInput.js';
import type { RollbackInput } from '../rollout.js';

const RollbackSchema = Type.Object(
  {
    model: Type.String({ minLength: 1 }),
    to: Type.Optional(Type.Integer({ minimum: 1 })),
    reason: Type.String({ minLength: 1 }),
    requestedBy: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

/**
 * Checks the one JSON object that starts `rollbackModel`.
 *
 * @throws TidemillError INPUT_INVALID naming the field at fault.
 */
export function checkRollbackInput(input: unknown): RollbackInput {
  return checkInput<RollbackInput>('rollbackModel', RollbackSchema, input);
}
