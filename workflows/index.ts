export { modelLifecycle } from './modelLifecycle.js';
export { retrainModel } from './retrainModel.js';
