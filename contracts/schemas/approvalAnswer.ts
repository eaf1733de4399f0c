import { Type } from '@sinclair/typebox';
import type { ApprovalAnswer, ApprovalBinding } from '../approval.js';
import { checkInput } from './checkInput.js';

const SignedSchema = Type.Object(
  { token: Type.String({ minLength: 1 }), reason: Type.Optional(Type.String()) },
  { additionalProperties: false },
);

const UnsignedSchema = Type.Object(
  {
    by: Type.String({ minLength: 1 }),
    version: Type.Integer({ minimum: 1 }),
    evidence: Type.String({ minLength: 1 }),
    reason: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

const BindingSchema = Type.Object({
  model: Type.String(),
  version: Type.Integer(),
  sha256: Type.String(),
  evidence: Type.String(),
  token: Type.Integer(),
  action: Type.Union([Type.Literal('approve'), Type.Literal('reject')]),
});

/**
 * Checks the one JSON object of `approve` and `reject`.
 *
 * @throws TidemillError INPUT_INVALID naming the field at fault.
 */
export function checkApprovalAnswer(input: unknown): ApprovalAnswer {
  const isSigned = typeof input === 'object' && input !== null && 'token' in input;
  return checkInput<ApprovalAnswer>('approve', isSigned ? SignedSchema : UnsignedSchema, input);
}

/**
 * What the claims of a token bind it to.
 *
 * @throws TidemillError INPUT_INVALID naming the claim at fault.
 */
export function checkApprovalBinding(claims: unknown): ApprovalBinding {
  return checkInput<ApprovalBinding>('the claims', BindingSchema, claims);
}
