import { bindingOf, type ApprovalAction } from '../../contracts/approval.js';
import type { ApprovalRequest } from '../../contracts/rollout.js';
import { hashOf } from '../../features/hash.js';
import type { Verdict } from '../../models/gates/verdict.js';
import type { Fence, Registry, VersionDraft } from '../../stores/registry/registry.js';

/** A version that a rollout would register. */
export function draftOf(model: string, sha256 = 'a'.repeat(64)): VersionDraft {
  return {
    model,
    artifact: { uri: `objects://models/${sha256}`, sha256, bytes: 1 },
    service: 's',
    columns: ['amount'],
    dataset: { uri: 'd', sha256: 'd' },
    trainer: 'xgboost',
    hyperparameters: {},
    codeVersion: '1',
    workflow: null,
    trigger: 'manual',
    metrics: { auc: 0.9 },
    lineage: {},
  };
}

/** A verdict that speaks for a version. */
export const PASSED: Verdict = {
  gate: 'atLeast(auc, 0.8)',
  kind: 'absolute',
  verdict: 'pass',
  value: 0.9123,
  low: null,
  high: null,
  bound: 0.8,
  rows: 58_264,
  positives: 385,
  look: 1,
  reason: 'auc 0.9123',
};

/** A rollout that waits for an approval, with one verdict as its evidence. */
export async function waitingRollout(
  registry: Registry,
  options: { readonly model?: string; readonly holder?: string; readonly requestedBy?: string | null } = {},
): Promise<{ readonly fence: Fence; readonly request: ApprovalRequest }> {
  const { model = 'fraud', holder = 'w1', requestedBy = 'olga' } = options;
  const { token } = await registry.openRollout(model, holder, 'manual');
  const fence = { model, token };
  const { version, artifact } = await registry.registerVersion(draftOf(model), fence);
  await registry.storeEvidence(fence, version, `absolute/${PASSED.gate}`, PASSED);
  const evidence = hashOf(await registry.evidence(model, token));
  const request: ApprovalRequest = { model, version, sha256: artifact.sha256, evidence, token, requestedBy };
  await registry.setPhase(fence, 'approval');
  await registry.journalIntent(fence, 'approval', request);
  return { fence, request };
}

/** The claims of an answer that fits, but for what is changed. */
export function claimsOf(
  request: ApprovalRequest,
  changed: Partial<ApprovalRequest> & { readonly action?: ApprovalAction } = {},
): ReturnType<typeof bindingOf> {
  const { action = 'approve', ...other } = changed;
  return bindingOf({ ...request, ...other }, action);
}
