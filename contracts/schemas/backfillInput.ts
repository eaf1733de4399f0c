import { Type } from '@sinclair/typebox';
import { durationMs } from '../duration.js';
import { TidemillError } from '../errors.js';
import { MAX_BACKFILL_PARTS, type BackfillInput, type BackfillPart } from '../features.js';
import { checkInput } from './checkInput.js';
import { inputTime } from './eventTime.js';

const BackfillSchema = Type.Object(
  {
    view: Type.String({ minLength: 1 }),
    from: Type.String({ minLength: 1 }),
    to: Type.String({ minLength: 1 }),
    shares: Type.Optional(Type.Integer({ minimum: 1, maximum: 256 })),
    slice: Type.Optional(Type.String({ pattern: '^[0-9]+(ms|s|m|h|d)$' })),
  },
  { additionalProperties: false },
);

/**
 * Checks the one JSON object that starts `backfillFeatures`.
 *
 * @throws TidemillError INPUT_INVALID naming the field at fault.
 */
export function checkBackfillInput(input: unknown): BackfillInput {
  const checked = checkInput<BackfillInput>('backfillFeatures', BackfillSchema, input);
  backfillParts(checked);
  return checked;
}

/**
 * The parts of a backfill: each slice of time, and in it each share of the entities.
 *
 * @throws TidemillError INPUT_INVALID
 */
export function backfillParts({ from, to, shares = 4, slice }: BackfillInput): readonly BackfillPart[] {
  const [start, end] = [inputTime('backfillFeatures', 'from', from), inputTime('backfillFeatures', 'to', to)];
  if (end <= start) throw invalid('to', `${to} is not after ${from}`);
  const sliceMs = slice === undefined ? end - start : durationMs(slice);
  if (sliceMs <= 0) throw invalid('slice', `${slice} is no time`);
  const slices = Math.ceil((end - start) / sliceMs);
  if (slices * shares > MAX_BACKFILL_PARTS)
    throw invalid('slice', `${slices} slices of ${shares} shares are more than ${MAX_BACKFILL_PARTS} parts`);
  return Array.from({ length: slices * shares }, (_, at): BackfillPart => {
    const begin = start + Math.floor(at / shares) * sliceMs;
    return { from: begin, to: Math.min(end, begin + sliceMs), share: at % shares, shares };
  });
}

function invalid(field: string, problem: string): TidemillError {
  return new TidemillError('INPUT_INVALID', `backfillFeatures: ${field}: ${problem}`, { path: `/${field}` });
}
