export { canaryRollout } from './canaryRollout.js';
export { consistencyAudit } from './consistencyAudit.js';
export { modelLifecycle } from './modelLifecycle.js';
export { probation } from './probation.js';
export { recoverRollout } from './recoverRollout.js';
export { retrainModel } from './retrainModel.js';
export { rollbackModel } from './rollbackModel.js';
export { shadowTest } from './shadowTest.js';
