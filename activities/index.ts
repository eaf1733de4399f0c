export { createGateActivities, type Judgement } from './gateActivities.js';
export { createLabelActivities } from './labelActivities.js';
export { createPolicyActivities } from './policyActivities.js';
export { createRolloutActivities, type FollowResult } from './rolloutActivities.js';
export { createTrainingActivities, type FittedModel } from './trainingActivities.js';
export type { ActivityDependencies, LifecyclePort } from './dependencies.js';
