import { TidemillError } from '../contracts/errors.js';
import type { RollbackInput, RollbackIntent } from '../contracts/rollout.js';
import { streamTopic } from '../contracts/topics.js';
import type { Fence, JournalEntry, Registry, Rollout } from '../stores/registry/registry.js';
import type { ActivityDependencies } from './dependencies.js';
import { ALONE, deploymentChanges } from './deploymentChanges.js';
import { journaled, journalEntry } from './journal.js';
import { registeredBy } from './registeredBy.js';

export type BegunRollback =
  | {
      readonly outcome: 'rolledBack';
      readonly fence: Fence;
      readonly from: number;
      readonly to: number;
      readonly epoch: number;
    }
  | { readonly outcome: 'alreadyRolledBack'; readonly to: number };

/** Where a rollback goes; `isServing` where there is nothing left to do. */
export type RollbackTarget = Omit<RollbackIntent, 'reason'> & { readonly isServing: boolean };

/** What a rollback set out to do; null where the rollout is none, or had not come as far. */
export async function rollbackIntentOf(
  registry: Pick<Registry, 'journal'>,
  { model, token, trigger }: Rollout,
): Promise<RollbackIntent | null> {
  if (trigger !== 'rollback') return null;
  const intent = (await journalEntry(registry, { model, token }, 'lease'))?.intent as
    (Omit<RollbackIntent, 'reason'> & Partial<RollbackIntent>) | undefined;
  // The first release did not write down why.
  return intent === undefined ? null : { reason: 'a rollback', ...intent };
}

/**
 * The rollout that one is about: a recovery is about the one that it recovers, through as many recoveries as it took; a
 * rollback that had not written down where it goes is about the one that it fenced.
 */
export async function rolloutOrigin(registry: Pick<Registry, 'journal' | 'rollout'>, of: Rollout): Promise<Rollout> {
  let origin = of;
  for (;;) {
    const { model, token, trigger } = origin;
    if (trigger !== 'recovery' && trigger !== 'rollback') return origin;
    const lease = (await journalEntry(registry, origin, 'lease'))?.intent as { readonly recovers?: number } | undefined;
    if (trigger === 'rollback' && lease !== undefined) return origin;
    const before = await registry.rollout(model, lease?.recovers ?? token - 1);
    if (before === null || (lease === undefined && before.outcome !== 'superseded')) return origin;
    origin = before;
  }
}

/** What rollbacks are made of, whoever carries them out: the one that was asked for, or who finishes it. */
export function rollbackSteps(dependencies: ActivityDependencies): {
  /** @throws TidemillError ROLLBACK_IMPOSSIBLE */
  readonly targetOf: (input: RollbackInput) => Promise<RollbackTarget>;
  /** Steps 4 and 5 of a rollback that has its token; a repetition changes nothing. */
  readonly carryOut: (fence: Fence, intent: RollbackIntent) => Promise<BegunRollback>;
} {
  const { registry, lifecycle, project, modelOf } = dependencies;
  const { change } = deploymentChanges(dependencies);

  /** The journal of the rollout that one is about. */
  const journalOf = async (rollout: Rollout): Promise<readonly JournalEntry[]> => {
    const { model, token } = await rolloutOrigin(registry, rollout);
    return registry.journal(model, token);
  };

  /** A take-back that was recovered is closed as any rollout that was undone: its journal says to whom it went. */
  const hasTakenBack = async (last: Rollout, champion: number): Promise<boolean> => {
    const takeBack = (await journalOf(last)).find(({ step }) => step === 'takeBack')?.intent;
    const { predecessor } = (takeBack ?? {}) as { readonly predecessor?: number | null };
    return last.closedAt !== null && predecessor === champion;
  };

  /** A rollout that was fenced leaves a version that nobody will promote. */
  const rejectCandidate = async (fence: Fence, of: Rollout, reason: string): Promise<void> => {
    const { model, token } = await rolloutOrigin(registry, of);
    if ((await registry.journal(model, token)).some(({ step }) => step === 'commit')) return;
    for (const version of await registeredBy(registry, model, token))
      await registry.rejectVersion(model, version, reason, fence);
  };

  return {
    async targetOf({ model, to }) {
      const head = await registry.deployment(model);
      const from = head?.champion ?? null;
      const impossible = (why: string): TidemillError =>
        new TidemillError('ROLLBACK_IMPOSSIBLE', `${model} cannot go back: ${why}`, {
          model,
          to: to ?? null,
          champion: from,
        });
      if (head === null || from === null) throw impossible('nothing has been promoted');
      const former = await registry.championHistory(model);
      const last = await registry.newestRollout(model);
      const asked = last === null ? null : await rollbackIntentOf(registry, last);
      if (asked !== null && (to === undefined || to === asked.to)) {
        // Asked twice. One that ended in its midst is taken up where it is: it may have got no further than its token.
        const isLeft = (await registry.version(model, asked.from))?.status === 'withdrawn';
        return { from: asked.from, to: asked.to, under: asked.under, isServing: isLeft && from === asked.to };
      }
      const isUnderWay = last !== null && last.closedAt === null && head.challenger !== null;
      if (isUnderWay && (to === undefined || to === from)) {
        // A candidate on its way is what there is to go back from; the champion stays.
        if (!(await journalOf(last)).some(({ step }) => step === 'commit'))
          return { from: head.challenger, to: from, isServing: false };
      }
      if (to === from) return { from, to, isServing: true };
      if (to !== undefined) {
        const named = await registry.version(model, to);
        if (named === null) throw impossible(`there is no version ${to}`);
        if (named.status !== 'registered') throw impossible(`version ${to} is ${named.status} (${named.reason ?? ''})`);
        if (!former.some(({ version }) => version === to)) throw impossible(`version ${to} has never been champion`);
        return { from, to, isServing: false };
      }
      // Taken back by its own evidence: that has been carried out, and nothing was promoted since.
      if (last?.outcome?.startsWith('rolled back') === true || (last !== null && (await hasTakenBack(last, from))))
        return { from, to: from, isServing: true };
      for (const { version } of former) {
        if ((await registry.version(model, version))?.status === 'registered')
          return { from, to: version, isServing: false };
      }
      throw impossible('no former champion may serve any more');
    },

    async carryOut(fence, { from, to, under, reason }) {
      const { model } = fence;
      // 4
      const { epoch } = await journaled(dependencies, fence, 'rollback', { from, to }, async () => {
        const head = await registry.deployment(model);
        // Whoever is finished by another may have come so far.
        if (head?.champion === to && head.mode === 'single' && head.prepare === null) return { epoch: head.epoch };
        return { epoch: (await change(fence, 'rollback', { ...ALONE, champion: to }, reason, null, from)).epoch };
      });
      // 5
      await registry.withdrawVersion(model, from, reason, fence);
      const fenced = under === undefined ? null : await registry.rollout(model, under);
      if (fenced !== null) {
        await rejectCandidate(fence, fenced, `fenced by a rollback: ${reason}`);
        const at = await registry.watermark(streamTopic(project, modelOf(model).request.name));
        await lifecycle.rolloutClosed(model, { workflowId: fenced.holder, outcome: 'fenced', at });
      }
      return { outcome: 'rolledBack', fence, from, to, epoch };
    },
  };
}
