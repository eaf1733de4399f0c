import { setTimeout as sleep } from 'node:timers/promises';
import type { RetrainResult } from '../../../contracts/workflows.js';
import { MODEL, type Cluster } from './cluster.js';

/** One fault: how it is made, and what may come of it. */
export interface RolloutFault {
  readonly step: string;
  readonly fault: string;
  /** Outcomes that are right; whatever it is, it must be whole. */
  readonly outcomes: readonly string[];
  /** Promotions where there may be more than one. @default 1 */
  readonly promotions?: number;
  /** Why the fault cannot be made on this machine; null where it can. @default null */
  needs?(): Promise<string | null>;
  /** Makes the fault around a rollout called `id`; gives what came of it. */
  run(cluster: Cluster, id: string): Promise<string>;
}

export function retrain(cluster: Cluster, id: string, more: { readonly supersede?: boolean } = {}): Promise<string> {
  return cluster.lifecycle.startRetrain({ model: MODEL, trigger: { kind: 'manual' }, ...more }, id);
}

export async function reached(cluster: Cluster, workflowId: string, phase: string): Promise<void> {
  for (;;) {
    const status = await cluster.lifecycle.retrainStatus(workflowId).catch(() => null);
    if (status?.phase === phase) return;
    if (status?.phase === 'done') throw new Error(`${workflowId} was done before it reached ${phase}`);
    await sleep(50);
  }
}

/** Waits until the lifecycle has taken over, and is done. */
export async function recovered(cluster: Cluster, before: number): Promise<string> {
  for (;;) {
    const [newest] = await cluster.registry.rollouts(MODEL);
    if (newest !== undefined && newest.token > before && newest.closedAt !== null) return newest.outcome ?? '';
    await sleep(100);
  }
}

export function outcomeOf(result: RetrainResult): string {
  return result.outcome === 'notPromoted' ? 'compensated' : result.outcome;
}
