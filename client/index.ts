export { LifecycleClient } from './lifecycleClient.js';
export type { FollowChange } from './followWorkflow.js';
export type { LifecycleStatus, RetrainInput, RetrainResult, RetrainStatus, Trigger } from '../contracts/workflows.js';
