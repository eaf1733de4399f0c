import { describe, expect, test } from 'vitest';
import * as activities from '../../../activities/index.js';
import type { ActivityDependencies } from '../../../activities/index.js';
import { queueOf } from '../../../workflows/activityQueues.js';

const none = {} as ActivityDependencies;
/** Every activity that the queue of the workflows serves. */
const names = Object.keys({
  ...activities.createRolloutActivities(none),
  ...activities.createDeploymentActivities(none),
  ...activities.createFeatureActivities(none),
  ...activities.createBackfillActivities(none),
  ...activities.createHealActivities(none),
  ...activities.createWatchActivities(none),
  ...activities.createApprovalActivities(none),
  ...activities.createRecoveryActivities(none),
  ...activities.createLabelActivities(none),
  ...activities.createPolicyActivities(none),
  ...activities.createAuditActivities(none),
});

describe('the queue of an activity', () => {
  test.each(names.filter((name) => name.startsWith('await')))('%s is for those that wait', (name) => {
    expect(queueOf(name, 'shop')).toBe('shop/tidemill-waits');
  });

  test.each(['takeSnapshot', 'beginWatch', 'readyFeatures', 'prepareVersion', 'takeBack', 'decidedBy'])(
    '%s, which waits for others, too, is for those that wait',
    (name) => {
      expect(names).toContain(name);
      expect(queueOf(name, 'shop')).toBe('shop/tidemill-waits');
    },
  );

  test.each(['planAudit', 'auditServed', 'planHeal', 'healPart'])('%s is for those that read long', (name) => {
    expect(names).toContain(name);
    expect(queueOf(name, 'shop')).toBe('shop/tidemill-reading');
  });

  test.each([
    ...['acquireRollout', 'closeRollout', 'releaseHolder', 'commitVersion', 'compensateRollout', 'endWatching'],
    ...['rollBack', 'finishRollback', 'openRecovery', 'requestApproval', 'checkApproval', 'recordApproval'],
  ])('%s, which others wait for, is that of the workflow', (name) => {
    expect(names).toContain(name);
    expect(queueOf(name, 'shop')).toBeNull();
  });
});
