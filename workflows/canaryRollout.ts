import type { WatchInput, WatchResult } from '../contracts/rollout.js';
import { showWatch, watchCandidate } from './watchCandidate.js';

/** The candidate serves a share of the entities, step by step; the first step that does not pass ends it. */
export async function canaryRollout(input: WatchInput): Promise<WatchResult> {
  const { fence, version, plan } = input;
  const shown = showWatch(input);
  let seen = 0;
  for (const share of plan.canary?.shares ?? []) {
    const step = `canary/${share}`;
    shown.enter(step);
    const watch = {
      step,
      kind: 'canary',
      version,
      reference: plan.predecessor,
      share,
      wanted: plan.canary?.requests ?? null,
      atMostMs: plan.canary?.atMostMs ?? 0,
    } as const;
    const result = await watchCandidate(fence, watch, shown.look(step));
    seen += result.seen;
    if (result.decision !== 'pass') {
      shown.enter('done');
      return { ...result, reason: `at share ${share}: ${result.reason}` };
    }
  }
  shown.enter('done');
  return { decision: 'pass', seen, verdicts: [], reason: 'every step passed' };
}
