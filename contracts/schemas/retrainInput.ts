import { Type } from '@sinclair/typebox';
import { TidemillError } from '../errors.js';
import { checkInput } from './checkInput.js';
import type { RetrainInput } from '../workflows.js';

const TriggerSchema = Type.Object(
  {
    kind: Type.Union([Type.Literal('first'), Type.Literal('manual'), Type.Literal('schedule'), Type.Literal('drift')]),
    reason: Type.Optional(Type.String()),
    onset: Type.Optional(Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?Z$' })),
    case: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

const RetrainSchema = Type.Object(
  {
    model: Type.String({ minLength: 1 }),
    trigger: Type.Optional(TriggerSchema),
    allowNoInstances: Type.Optional(Type.Boolean()),
    supersede: Type.Optional(Type.Boolean()),
    requestedBy: Type.Optional(Type.String()),
  },
  { additionalProperties: false },
);

/**
 * Checks the one JSON object that starts `retrainModel`.
 *
 * @throws TidemillError INPUT_INVALID naming the field at fault.
 */
export function checkRetrainInput(input: unknown): RetrainInput {
  const checked = checkInput<RetrainInput>('retrainModel', RetrainSchema, input);
  if (checked.trigger?.kind === 'drift' && checked.trigger.onset === undefined) {
    throw new TidemillError(
      'INPUT_INVALID',
      'retrainModel: trigger.onset is needed after drift: rows before it cannot judge',
      { path: '/trigger/onset' },
    );
  }
  return checked;
}
