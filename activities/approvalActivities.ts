import { TidemillError } from '../contracts/errors.js';
import type { ApprovalAnswer, ApprovalDecision, ApprovalRequest } from '../contracts/rollout.js';
import { hashOf } from '../features/hash.js';
import type { Fence } from '../stores/registry/registry.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';

/** Approval by a person: bound to the version, its evidence and the rollout that asked for it. */
export function createApprovalActivities({ registry, reach }: ActivityDependencies) {
  return withFailures({
    /** Writes down what is asked for; a repeated attempt gets the request that stands. */
    async requestApproval(fence: Fence, version: number, requestedBy: string | null): Promise<ApprovalRequest> {
      await registry.setPhase(fence, 'approval');
      const candidate = await registry.version(fence.model, version);
      if (candidate === null)
        throw new Error(`invariant broken: version ${version} of ${fence.model} is not registered`);
      const request: ApprovalRequest = {
        model: fence.model,
        version,
        sha256: candidate.artifact.sha256,
        evidence: hashOf(await registry.evidence(fence.model, fence.token)),
        token: fence.token,
        requestedBy,
      };
      await registry.journalIntent(fence, 'approval', request);
      const entry = (await registry.journal(fence.model, fence.token)).find(({ step }) => step === 'approval');
      return entry?.intent as ApprovalRequest;
    },

    /**
     * Is this answer good for what waits? It names the version and the evidence that its giver has seen.
     *
     * @throws TidemillError APPROVAL_INVALID
     */
    async checkApproval(model: string, approved: boolean, given: ApprovalAnswer): Promise<ApprovalDecision> {
      const refused = (why: string): TidemillError =>
        new TidemillError('APPROVAL_INVALID', `${model}: ${why}`, { model, version: given.version, by: given.by });
      const [newest] = await registry.rollouts(model);
      const entry =
        newest === undefined || newest.closedAt !== null
          ? undefined
          : (await registry.journal(model, newest.token)).find(({ step }) => step === 'approval');
      if (entry === undefined) throw refused('nothing waits for an approval');
      const request = entry.intent as ApprovalRequest;
      if (entry.finishedAt !== null) {
        const before = entry.result as ApprovalDecision;
        throw refused(`rollout ${request.token} was ${before.approved ? 'approved' : 'rejected'} by ${before.by}`);
      }
      if (given.version !== request.version) throw refused(`version ${request.version} waits, not ${given.version}`);
      if (given.evidence !== request.evidence) throw refused('the evidence is not what was shown: look at it again');
      if (approved && given.by === request.requestedBy) throw refused(`${given.by} asked for it and cannot approve it`);
      return { approved, by: given.by, identity: 'unverified', reason: given.reason ?? '' };
    },

    async recordApproval(fence: Fence, decision: ApprovalDecision): Promise<void> {
      reach?.('approval/before-result');
      await registry.journalResult(fence, 'approval', decision);
    },
  });
}
