import type { WatchInput, WatchResult } from '../contracts/rollout.js';
import { showWatch, watchCandidate } from './watchCandidate.js';

/** The candidate scores every request beside the champion and serves none. */
export async function shadowTest(input: WatchInput): Promise<WatchResult> {
  const { fence, version, plan } = input;
  const shown = showWatch(input);
  shown.enter('shadow');
  const watch = {
    step: 'shadow',
    kind: 'shadow',
    version,
    reference: plan.predecessor,
    share: 0,
    wanted: plan.shadow?.requests ?? null,
    atMostMs: plan.shadow?.atMostMs ?? 0,
  } as const;
  const result = await watchCandidate(fence, watch, shown.look('shadow'));
  shown.enter('done');
  return result;
}
