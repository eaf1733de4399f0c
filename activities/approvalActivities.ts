import { Context } from '@temporalio/activity';
import type { ApprovalAction, ApprovalAnswer, ApprovalBinding } from '../contracts/approval.js';
import { isTidemillError, TidemillError } from '../contracts/errors.js';
import type { ApprovalDecision, ApprovalRequest } from '../contracts/rollout.js';
import { checkApprovalAnswer, checkApprovalBinding } from '../contracts/schemas/approvalAnswer.js';
import { hashOf } from '../features/hash.js';
import type { ApprovalUse, Fence } from '../stores/registry/registry.js';
import type { VerifiedToken } from './approvals/approvalVerifier.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { journalEntry } from './journal.js';

/** Approval by a person: bound to the version, its evidence and the rollout that asked for it. */
export function createApprovalActivities({ registry, approvals, reach }: ActivityDependencies) {
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
      const entry = await journalEntry(registry, fence, 'approval');
      return entry?.intent as ApprovalRequest;
    },

    /**
     * Takes a person's answer, where it is good for what waits:
     *
     *   1 whose it is: the token's signature says so, or nobody where no issuer is set up; 2 what waits; 3 does the
     *   answer name that and nothing else; 4 may this person give it; 5 it is used up, and decided, in one transaction.
     *
     * @throws TidemillError APPROVAL_INVALID, ISSUER_UNAVAILABLE, INPUT_INVALID
     */
    async checkApproval(model: string, approved: boolean, answer: ApprovalAnswer): Promise<ApprovalDecision> {
      const given = checkApprovalAnswer(answer);
      const usedBy = attemptId();
      const newest = await registry.newestRollout(model);
      // Before all else: the token of an answer that was taken may have expired since.
      const before = newest === null ? null : await registry.approval(model, newest.token);
      if (before?.usedBy === usedBy) return before.decision;
      // 1
      const action = approved ? 'approve' : 'reject';
      const isNeeded = await approvals.isNeeded();
      if (isNeeded && !('token' in given))
        throw refused(model, 'an issuer is set up: the answer must be a signed token');
      const signed = 'token' in given ? await approvals.verify(given.token) : null;
      const by = signed?.subject ?? ('by' in given ? given.by : '');
      // 2
      const request = newest === null || newest.closedAt !== null ? null : await waiting(model, newest.token);
      if (request === null) throw refused(model, 'nothing waits for an approval');
      // 3
      const mismatch =
        signed === null
          ? mismatchOf(request, action, 'version' in given ? given : {})
          : mismatchOfToken(request, action, signed);
      if (mismatch !== null) throw refused(model, mismatch, by);
      const isUnchanged = request.evidence === hashOf(await registry.evidence(model, request.token));
      if (approved && !isUnchanged) throw refused(model, 'the evidence has changed since it was asked for', by);
      // 4
      if (signed !== null && !signed.roles.includes(approvals.role))
        throw refused(model, `${by} does not have the role ${approvals.role}`, by);
      const { requestedBy } = request;
      if (approved && requestedBy !== null && (signed?.names ?? [by]).includes(requestedBy))
        throw refused(model, `${requestedBy} asked for it and cannot approve it`, by);
      // 5
      reach?.('approval/before-use');
      const use: ApprovalUse = {
        jti: signed?.jti ?? null,
        usedBy,
        decision: {
          approved,
          by,
          identity: signed === null ? 'unverified' : 'verified',
          reason: given.reason ?? '',
        },
        evidence: { ...request, issuer: signed?.issuer ?? null, roles: signed?.roles ?? [] },
      };
      const decision = await consume({ model, token: request.token }, use);
      reach?.('approval/after-use');
      return decision;
    },

    /**
     * What the registry knows of the decision that the rollout was told of: null where there is none, and whoever told
     * it was not the lifecycle.
     */
    async recordApproval(fence: Fence): Promise<{ readonly decision: ApprovalDecision | null }> {
      reach?.('approval/before-result');
      return decisionOf(fence);
    },

    /**
     * Ends the time for an answer: one that comes later is refused. Gives the decision that was taken before, of which the
     * rollout may never have heard; null where there is none.
     *
     * @throws TidemillError FENCED
     */
    async endApproval(fence: Fence): Promise<{ readonly decision: ApprovalDecision | null }> {
      // First ended, then looked at: in between no decision can be taken. One that was taken has ended the step itself.
      await registry.journalResult(fence, 'approval', { expired: true });
      return decisionOf(fence);
    },
  });

  async function decisionOf(fence: Fence): Promise<{ readonly decision: ApprovalDecision | null }> {
    return { decision: (await registry.approval(fence.model, fence.token))?.decision ?? null };
  }

  async function waiting(model: string, token: number): Promise<ApprovalRequest | null> {
    const entry = await journalEntry(registry, { model, token }, 'approval');
    return (entry?.intent as ApprovalRequest | undefined) ?? null;
  }

  async function consume(fence: Fence, use: ApprovalUse): Promise<ApprovalDecision> {
    try {
      return await registry.consumeApproval(fence, use);
    } catch (error) {
      if (!isTidemillError(error, 'FENCED')) throw error;
      throw refused(fence.model, `nothing waits for an approval: ${error.message}`, use.decision.by);
    }
  }
}

/** The same for every attempt of one activity, and for no other. */
function attemptId(): string {
  const { workflowExecution, activityId } = Context.current().info;
  return `${workflowExecution?.workflowId ?? ''}/${workflowExecution?.runId ?? ''}/${activityId}`;
}

function refused(model: string, why: string, by: string | null = null): TidemillError {
  return new TidemillError('APPROVAL_INVALID', `${model}: ${why}`, { model, by });
}

/** Why an answer is not one to this request; null where it is. */
function mismatchOf(request: ApprovalRequest, action: ApprovalAction, answer: Partial<ApprovalBinding>): string | null {
  const { model, action: meant, token, version, sha256, evidence } = answer;
  const differs = (given: unknown, wanted: unknown): boolean => given !== undefined && given !== wanted;
  if (differs(model, request.model)) return `the token is for model ${model}`;
  if (differs(meant, action)) return `the token was signed to ${meant}, not to ${action}`;
  if (differs(token, request.token)) return `rollout ${request.token} waits, not ${token}`;
  if (differs(version, request.version)) return `version ${request.version} waits, not ${version}`;
  if (differs(sha256, request.sha256)) return `version ${request.version} has another artifact than was shown`;
  if (differs(evidence, request.evidence)) return 'the evidence is not what was shown: look at it again';
  return null;
}

/**
 * A token names what it answers in claims of its own. A provider that cannot write those is asked for an id token with
 * the hash of the same claims as its `nonce`.
 */
function mismatchOfToken(request: ApprovalRequest, action: ApprovalAction, { claims }: VerifiedToken): string | null {
  if (typeof claims['nonce'] === 'string' && claims['action'] === undefined) {
    const { model, version, sha256, evidence, token } = request;
    const binding: ApprovalBinding = { model, version, sha256, evidence, token, action };
    return claims['nonce'] === hashOf(binding) ? null : 'the nonce of the token is not that of what waits';
  }
  let binding: ApprovalBinding;
  try {
    binding = checkApprovalBinding(claims);
  } catch (error) {
    if (isTidemillError(error, 'INPUT_INVALID')) return `the token does not say what it is for: ${error.message}`;
    throw error;
  }
  return mismatchOf(request, action, binding);
}
