import type {
  createAuditActivities,
  createDeploymentActivities,
  createFeatureActivities,
  createHealActivities,
  createLabelActivities,
  createPolicyActivities,
  createRecoveryActivities,
  createRolloutActivities,
  createWatchActivities,
} from '../activities/index.js';
import { readingQueue, waitsQueue } from '../contracts/workflows.js';

type Queued = ReturnType<typeof createRolloutActivities> &
  ReturnType<typeof createDeploymentActivities> &
  ReturnType<typeof createFeatureActivities> &
  ReturnType<typeof createHealActivities> &
  ReturnType<typeof createWatchActivities> &
  ReturnType<typeof createRecoveryActivities> &
  ReturnType<typeof createLabelActivities> &
  ReturnType<typeof createPolicyActivities> &
  ReturnType<typeof createAuditActivities>;
const names = (...list: readonly (keyof Queued)[]): ReadonlySet<string> => new Set(list);

/** They hold their slot for as long as something outside takes, seconds or weeks, and do next to nothing meanwhile. */
const WAITS = names(
  // For evidence, labels and stream time.
  'awaitEvidence',
  'awaitFreshPositives',
  'awaitLabels',
  'awaitProgress',
  'awaitStreamTime',
  // For workflows, the archive and corrections.
  'awaitClosed',
  'awaitRetrain',
  'takeSnapshot',
  'awaitCorrections',
  // For instances to follow.
  'readyFeatures',
  'beginWatch',
  'prepareVersion',
  'awaitActive',
  'takeBack',
  // Reads all predictions of a model; but a rollback, which ends with it, is not to wait until audits have ended.
  'decidedBy',
);

/** They read for hours: a few at a time. */
const READING = names('planAudit', 'auditServed', 'planHeal', 'healPart');

/** Where an activity is to be scheduled; null for the queue of the workflow, where nothing takes long. */
export function queueOf(activity: string, project: string): string | null {
  if (WAITS.has(activity)) return waitsQueue(project);
  return READING.has(activity) ? readingQueue(project) : null;
}
