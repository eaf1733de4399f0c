import { Type } from '@sinclair/typebox';
import { TidemillError } from '../errors.js';
import type { HealInput } from '../healing.js';
import { checkInput } from './checkInput.js';
import { inputTime } from './eventTime.js';

const HealSchema = Type.Object(
  {
    view: Type.String({ minLength: 1 }),
    from: Type.Optional(Type.String({ minLength: 1 })),
    to: Type.Optional(Type.String({ minLength: 1 })),
    plan: Type.Optional(Type.Boolean()),
  },
  { additionalProperties: false },
);

/**
 * Checks the one JSON object that starts `healFeatures`.
 *
 * @throws TidemillError INPUT_INVALID naming the field at fault.
 */
export function checkHealInput(input: unknown): HealInput {
  const checked = checkInput<HealInput>('healFeatures', HealSchema, input);
  healTimes(checked);
  return checked;
}

/** The times of a checked input, ms; null where it names none. @throws TidemillError INPUT_INVALID */
export function healTimes({ from, to }: HealInput): { readonly from: number | null; readonly to: number | null } {
  const times = {
    from: from === undefined ? null : inputTime('healFeatures', 'from', from),
    to: to === undefined ? null : inputTime('healFeatures', 'to', to),
  };
  if (times.from !== null && times.to !== null && times.to <= times.from)
    throw new TidemillError('INPUT_INVALID', `healFeatures: to: ${to} is not after ${from}`, { path: '/to' });
  return times;
}
