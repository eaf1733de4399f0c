import { patched } from '@temporalio/workflow';
import type { DriftCase } from '../contracts/workflows.js';
import { waiting } from './activityProxies.js';

/**
 * Waits until so many positives after a case's onset are labelled, and gives their number. While neither stream time nor
 * labels go on, the case shows that it is stalled; it waits on once they do.
 */
export async function awaitLabels(
  model: string,
  onset: number,
  wanted: number,
  show: (changed: Pick<DriftCase, 'state' | 'note'>) => void,
): Promise<number> {
  const note = `until ${wanted} positives after the onset are labelled`;
  for (;;) {
    show({ state: 'waiting-for-labels', note });
    if (!patched('waiting-cases-stall')) return waiting().awaitFreshPositives(model, onset, wanted);
    const labels = await waiting().awaitLabels(model, onset, wanted);
    if (labels.kind === 'there') return labels.positives;
    show({ state: 'stalled', note: `${labels.reason}; ${labels.positives} of ${wanted} positives are labelled` });
    await waiting().awaitProgress(model, labels.at);
  }
}
