import type { BackfilledPart, BackfillInput, BackfillResult } from '../contracts/features.js';
import { backfills, planning, validation } from './activityProxies.js';
import { plainly } from './plainFailure.js';
import { showProgress } from './showProgress.js';

/** Parts under way at a time: as many workers as there are share them out. */
const AT_ONCE = 8;
/** A part of so many is told of as a step. */
const STEPS = 10;

/**
 * Computes the history of a view: what it said at each of its events, as Parquet in the object store. The parts, shares of
 * the entities in slices of time, are independent; one that is done is in the workflow's history and is not done again.
 */
export async function backfillFeatures(input: BackfillInput): Promise<BackfillResult> {
  const shown = showProgress((input as Partial<BackfillInput> | null)?.view ?? '');
  const checked = await validation().validateBackfill(input);
  shown.enter('plan');
  const plan = await plainly(() => planning().planBackfill(checked));
  const { view, hash, files, parts } = plan;
  shown.done('plan', `${parts.length} parts of ${view} ${hash.slice(0, 12)}`);

  shown.enter('parts');
  const done: (BackfilledPart | null)[] = parts.map(() => null);
  let next = 0;
  let finished = 0;
  const every = Math.max(1, Math.ceil(parts.length / STEPS));
  const work = async (): Promise<void> => {
    for (let at = next++; at < parts.length; at = next++) {
      const part = parts[at];
      if (part === undefined) return;
      done[at] = await backfills().backfillPart({ view, hash, files }, part);
      finished++;
      if (finished % every === 0 || finished === parts.length) {
        const rows = done.reduce((sum, each) => sum + (each?.rows ?? 0), 0);
        shown.done('parts', `${finished} of ${parts.length}, ${rows} rows`);
      }
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, work));

  shown.enter('done');
  const found = done.filter((each) => each !== null);
  return {
    outcome: 'backfilled',
    view,
    hash,
    parts: parts.length,
    rows: found.reduce((sum, { rows }) => sum + rows, 0),
    files: found.flatMap(({ file, rows }) => (file === null ? [] : [{ ...file, rows }])),
  };
}
