import type { WatchInput, WatchResult } from '../contracts/rollout.js';
import { showWatch, watchCandidate } from './watchCandidate.js';

/** The new champion serves, its predecessor scores beside it, until enough labels tell which of the two is better. */
export async function probation(input: WatchInput): Promise<WatchResult> {
  const { fence, version, plan } = input;
  const shown = showWatch(input);
  shown.enter('probation');
  const watch = {
    step: 'probation',
    kind: 'probation',
    version,
    reference: plan.predecessor,
    share: 0,
    wanted: plan.probation?.positives ?? null,
    atMostMs: plan.probation?.atMostMs ?? 0,
  } as const;
  const result = await watchCandidate(fence, watch, shown.look('probation'));
  shown.enter('done');
  return result;
}
