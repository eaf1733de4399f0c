export type { ApprovalAnswer, ApprovalBinding, SignedAnswer, UnsignedAnswer } from '../contracts/approval.js';
export { bindingOf } from '../contracts/approval.js';
export type { AuditResult, SkewCause } from '../contracts/consistency.js';
export type { ErrorCode } from '../contracts/errorCodes.js';
export { isTidemillError, TidemillError } from '../contracts/errors.js';
export type { BackfillInput, BackfillResult } from '../contracts/features.js';
export type { HealInput, HealResult, ValueChange } from '../contracts/healing.js';
export type { ApprovalDecision, ApprovalRequest, RollbackResult, WatchStatus } from '../contracts/rollout.js';
export type {
  DriftCase,
  LifecycleStatus,
  RetrainInput,
  RetrainResult,
  RetrainStatus,
  Trigger,
} from '../contracts/workflows.js';
export type { FollowChange } from './followWorkflow.js';
export { LifecycleClient } from './lifecycleClient.js';
export { createLocalIssuer, signApproval, type ApprovalToSign } from './localIssuer.js';
export {
  TidemillClient,
  type AuditRequest,
  type ModelStatus,
  type RetrainRequest,
  type RollbackRequest,
  type TidemillClientOptions,
  type WatchOptions,
} from './tidemillClient.js';
