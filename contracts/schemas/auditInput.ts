import { Type } from '@sinclair/typebox';
import { MAX_AUDIT_SAMPLE, type AuditInput } from '../consistency.js';
import { TidemillError } from '../errors.js';
import { checkInput } from './checkInput.js';

const TimeSchema = Type.String({ pattern: '^\\d{4}-\\d{2}-\\d{2}T\\d{2}:\\d{2}(:\\d{2}(\\.\\d+)?)?Z$' });

const AuditSchema = Type.Object(
  {
    model: Type.String({ minLength: 1 }),
    from: Type.Optional(TimeSchema),
    to: Type.Optional(TimeSchema),
    sample: Type.Optional(Type.Integer({ minimum: 1, maximum: MAX_AUDIT_SAMPLE })),
  },
  { additionalProperties: false },
);

/**
 * Checks the one JSON object that starts `consistencyAudit`.
 *
 * @throws TidemillError INPUT_INVALID naming the field at fault.
 */
export function checkAuditInput(input: unknown): AuditInput {
  const checked = checkInput<AuditInput>('consistencyAudit', AuditSchema, input);
  for (const field of ['from', 'to'] as const) {
    const time = checked[field];
    if (time !== undefined && Number.isNaN(Date.parse(time)))
      throw invalid(field, `${JSON.stringify(time)} is no time of the calendar`);
  }
  const { from, to } = checked;
  if (from !== undefined && to !== undefined && Date.parse(from) >= Date.parse(to))
    throw invalid('to', `${to} is not after from, ${from}`);
  return checked;
}

function invalid(field: string, problem: string): TidemillError {
  return new TidemillError('INPUT_INVALID', `consistencyAudit: ${field}: ${problem}`, { path: `/${field}` });
}
