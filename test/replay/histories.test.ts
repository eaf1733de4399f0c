import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import { projectOfQueue } from '../../contracts/workflows.js';
import { queueOf } from '../../workflows/activityQueues.js';
import * as workflows from '../../workflows/index.js';

const folder = join(process.cwd(), 'test', 'replay', 'histories');
const workflowBundle = { codePath: join(process.cwd(), 'dist', 'workflow-bundle.js') };
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));

interface ScheduledActivity {
  readonly activityType: { name: string };
  readonly taskQueue: { readonly name: string };
}
interface RecordedHistory {
  readonly events: readonly [
    {
      readonly workflowExecutionStartedEventAttributes: {
        readonly workflowId: string;
        readonly workflowType: { readonly name: string };
      };
    },
    ...{ readonly activityTaskScheduledEventAttributes?: ScheduledActivity }[],
  ];
}
const history = (name: string): RecordedHistory =>
  JSON.parse(readFileSync(join(folder, name), 'utf8')) as RecordedHistory;
const replay = (recorded: RecordedHistory): Promise<void> =>
  Worker.runReplayHistory(
    { workflowBundle },
    recorded,
    recorded.events[0].workflowExecutionStartedEventAttributes.workflowId,
  );

const isOf = (type: string, { events: [started] }: RecordedHistory): boolean =>
  started.workflowExecutionStartedEventAttributes.workflowType.name === type;
function activitiesOf({ events: [, ...rest] }: RecordedHistory): readonly ScheduledActivity[] {
  return rest.flatMap(({ activityTaskScheduledEventAttributes: each }) => (each === undefined ? [] : [each]));
}
/** The first two activities that are not of one type, one after the other; null where there are none. */
function twoActivities(recorded: RecordedHistory): [ScheduledActivity, ScheduledActivity] | null {
  const scheduled = activitiesOf(recorded);
  const at = scheduled.findIndex((each, place) => {
    const next = scheduled[place + 1];
    return next !== undefined && next.activityType.name !== each.activityType.name;
  });
  return at === -1 ? null : [scheduled[at] as ScheduledActivity, scheduled[at + 1] as ScheduledActivity];
}

/** Histories of every release, as the server recorded them: today's code must take the same way through them. */
describe('recorded histories', () => {
  test.each(names)('%s replays', async (name) => {
    await replay(history(name));
  });

  // Workflows that wait for weeks were begun before waits had a queue of their own.
  test('are there with waits on the queue of the workflow', () => {
    const waits = names.flatMap((name) =>
      activitiesOf(history(name)).filter(({ activityType, taskQueue }) => {
        const today = queueOf(activityType.name, projectOfQueue(taskQueue.name));
        return today !== null && today !== taskQueue.name;
      }),
    );
    expect(waits.map(({ activityType }) => activityType.name)).toEqual(
      expect.arrayContaining(['awaitEvidence', 'awaitClosed', 'awaitLabels', 'prepareVersion']),
    );
  });

  test.each(Object.keys(workflows))('of %s are there', (type) => {
    expect(names.some((name) => isOf(type, history(name)))).toBe(true);
  });

  // What keeps a workflow from being changed unnoticed: a history whose first two different activities stand in the other
  // order is one that today's code could not have written.
  test.each(Object.keys(workflows))('of %s are refused where two activities have changed places', async (type) => {
    const name = names.find((each) => isOf(type, history(each)) && twoActivities(history(each)) !== null);
    const changed = history(name as string);
    const [one, other] = twoActivities(changed) as [ScheduledActivity, ScheduledActivity];
    [one.activityType.name, other.activityType.name] = [other.activityType.name, one.activityType.name];
    const error: unknown = await replay(changed).catch((reason: unknown) => reason);
    expect((error as Error).name).toBe('DeterminismViolationError');
  });
});
