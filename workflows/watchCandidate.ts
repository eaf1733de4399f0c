import { defineQuery, setCurrentDetails, setHandler, upsertSearchAttributes } from '@temporalio/workflow';
import {
  LOOKS,
  type Look,
  type RolloutFence,
  type Watch,
  type WatchInput,
  type WatchResult,
  type WatchStatus,
} from '../contracts/rollout.js';
import { QUERY_STATUS, SEARCH_MODEL, SEARCH_PHASE, SEARCH_VERSION } from '../contracts/workflows.js';
import { watches } from './activityProxies.js';

/**
 * Watches a candidate in one deployment: it begins (journaled), is looked at while evidence gathers, and ends (journaled).
 * One activity waits for one look: the history stays short however long it takes.
 */
export async function watchCandidate(
  fence: RolloutFence,
  watch: Watch,
  onLook: (look: number, seen: Look) => void,
): Promise<WatchResult> {
  const begun = await watches().beginWatch(fence, watch);
  if (begun.finished !== null) return begun.finished;
  let result: WatchResult | null = null;
  for (let look = 1; look <= LOOKS && result === null; look++) {
    const { decision, ...rest } = await watches().awaitEvidence(fence, watch, begun, look);
    onLook(look, { decision, ...rest });
    if (decision !== 'continue') result = { decision, ...rest };
  }
  result ??= { decision: 'inconclusive', seen: 0, verdicts: [], reason: 'no look decided' };
  await watches().finishWatch(fence, watch, result);
  return result;
}

/** What a child that watches shows of itself: a table of its looks. */
export function showWatch({ fence, version }: WatchInput): {
  enter(phase: string): void;
  look(step: string): (look: number, result: Look) => void;
} {
  const looks: { step: string; look: number; result: Look }[] = [];
  let phase = 'starting';
  const show = (): void => {
    const rows = looks.map(
      ({ step, look, result }) =>
        `| ${step} | ${look} | ${result.decision} | ${result.seen} | ${describeVerdicts(result.verdicts)} |`,
    );
    setCurrentDetails(
      [
        `**${fence.model}** version ${version}: ${phase}`,
        '',
        '| step | look | decision | seen | verdicts |',
        '| --- | --- | --- | --- | --- |',
        ...rows,
      ].join('\n'),
    );
  };
  setHandler(defineQuery<WatchStatus>(QUERY_STATUS), (): WatchStatus => ({
    model: fence.model,
    version,
    phase,
    looks,
  }));
  return {
    enter: (next) => {
      phase = next;
      upsertSearchAttributes({
        [SEARCH_MODEL]: [fence.model],
        [SEARCH_PHASE]: [next],
        [SEARCH_VERSION]: [String(version)],
      });
      show();
    },
    look: (step) => (look, result) => {
      looks.push({ step, look, result });
      show();
    },
  };
}

export function describeVerdicts(verdicts: readonly { readonly gate: string; readonly verdict: string }[]): string {
  return verdicts.map(({ gate, verdict }) => `${gate}: ${verdict}`).join(', ');
}
