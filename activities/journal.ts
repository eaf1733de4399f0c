import type { RolloutStep } from '../contracts/workflows.js';
import type { Fence, Registry } from '../stores/registry/registry.js';

/**
 * One step of a rollout: 1 its intent is journaled, 2 it is done, 3 its result is journaled. A step whose result is there
 * is not done again: a repeated attempt gets the same answer.
 */
export async function journaled<T>(
  registry: Registry,
  fence: Fence,
  step: RolloutStep,
  intent: unknown,
  act: () => Promise<T>,
): Promise<T> {
  const known = (await registry.journal(fence.model, fence.token)).find((entry) => entry.step === step);
  if (known !== undefined && known.finishedAt !== null) return known.result as T;
  await registry.setPhase(fence, step);
  await registry.journalIntent(fence, step, intent);
  const result = await act();
  await registry.journalResult(fence, step, result);
  return result;
}
