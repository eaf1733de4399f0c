/** What a project author writes with. */
export * from './features/authoring/index.js';
export {
  atLeast,
  calibrated,
  logistic,
  model,
  notWorse,
  rules,
  superior,
  xgboost,
  type Model,
  type ModelOptions,
} from './models/authoring.js';
export { agreement, errors, latency, skew } from './models/operationalGates.js';
export type { AuditOptions, ScheduleOptions } from './models/schedule.js';
export { defineProject, type Project } from './models/project.js';
export { TidemillError, isTidemillError } from './contracts/errors.js';
export { ERROR_CODES, type ErrorCode } from './contracts/errorCodes.js';
