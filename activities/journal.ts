import type { ActivityDependencies } from './dependencies.js';
import type { Fence, JournalEntry, Registry } from '../stores/registry/registry.js';

/** What a rollout's journal says of one step; undefined where it has not begun. */
export async function journalEntry(
  registry: Pick<Registry, 'journal'>,
  { model, token }: Fence,
  step: string,
): Promise<JournalEntry | undefined> {
  return (await registry.journal(model, token)).find((entry) => entry.step === step);
}

/**
 * One step of a rollout: 1 its intent is journaled, 2 it is done, 3 its result is journaled. A step whose result is there
 * is not done again: a repeated attempt gets the same answer.
 */
export async function journaled<T>(
  { registry, reach }: Pick<ActivityDependencies, 'registry' | 'reach'>,
  fence: Fence,
  step: string,
  intent: unknown,
  act: () => Promise<T>,
): Promise<T> {
  const known = await journalEntry(registry, fence, step);
  if (known !== undefined && known.finishedAt !== null) return known.result as T;
  await registry.setPhase(fence, step);
  reach?.(`${step}/before-intent`);
  // 1
  await registry.journalIntent(fence, step, intent);
  reach?.(`${step}/after-intent`);
  // 2
  const result = await act();
  reach?.(`${step}/after-effect`);
  // 3
  await registry.journalResult(fence, step, result);
  reach?.(`${step}/after-result`);
  return result;
}
