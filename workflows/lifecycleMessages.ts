import { defineQuery, defineSignal, defineUpdate } from '@temporalio/workflow';
import type { ApprovalAnswer } from '../contracts/approval.js';
import {
  UPDATE_APPROVE,
  UPDATE_PAUSE,
  UPDATE_REJECT,
  UPDATE_RESUME,
  UPDATE_ROLLBACK,
  SIGNAL_ROLLBACK,
  type ApprovalDecision,
  type RollbackBegun,
  type RollbackInput,
} from '../contracts/rollout.js';
import {
  QUERY_STATUS,
  SIGNAL_CLOSED,
  SIGNAL_DRIFT,
  UPDATE_ACQUIRE,
  UPDATE_RETRAIN,
  type AcquireAnswer,
  type DriftSignal,
  type Holder,
  type LifecycleStatus,
  type Paused,
  type RetrainInput,
  type RolloutClosed,
} from '../contracts/workflows.js';

/** What a lifecycle is told and asked. */
export const driftDetected = defineSignal<[DriftSignal]>(SIGNAL_DRIFT);
export const rolloutClosed = defineSignal<[RolloutClosed]>(SIGNAL_CLOSED);
export const rollbackBegun = defineSignal<[RollbackBegun]>(SIGNAL_ROLLBACK);
export const acquireRollout = defineUpdate<AcquireAnswer, [Holder]>(UPDATE_ACQUIRE);
export const requestRetrain = defineUpdate<{ workflowId: string }, [Partial<RetrainInput>?]>(UPDATE_RETRAIN);
export const rollback = defineUpdate<{ workflowId: string }, [Omit<RollbackInput, 'model'>]>(UPDATE_ROLLBACK);
export const pause = defineUpdate<Paused, [Paused]>(UPDATE_PAUSE);
export const resume = defineUpdate<null, [{ readonly by: string }]>(UPDATE_RESUME);
export const approve = defineUpdate<ApprovalDecision, [ApprovalAnswer]>(UPDATE_APPROVE);
export const reject = defineUpdate<ApprovalDecision, [ApprovalAnswer]>(UPDATE_REJECT);
export const status = defineQuery<LifecycleStatus>(QUERY_STATUS);
