import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Worker } from '@temporalio/worker';
import { describe, expect, test } from 'vitest';
import * as workflows from '../../workflows/index.js';

const folder = join(process.cwd(), 'test', 'replay', 'histories');
const workflowBundle = { codePath: join(process.cwd(), 'dist', 'workflow-bundle.js') };
const names = readdirSync(folder).filter((name) => name.endsWith('.json'));

interface RecordedHistory {
  readonly events: readonly [
    {
      readonly workflowExecutionStartedEventAttributes: {
        readonly workflowId: string;
        readonly workflowType: { readonly name: string };
      };
    },
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

/** Histories of every release, as the server recorded them: today's code must take the same way through them. */
describe('recorded histories', () => {
  test.each(names)('%s replays', async (name) => {
    await replay(history(name));
  });

  test.each(Object.keys(workflows))('of %s are there', (type) => {
    const isOf = ({ events: [started] }: RecordedHistory): boolean =>
      started.workflowExecutionStartedEventAttributes.workflowType.name === type;
    expect(names.some((name) => isOf(history(name)))).toBe(true);
  });

  test('that took another way are refused', async () => {
    const name = names.find((each) => each.startsWith('retrainModel')) as string;
    const changed = JSON.parse(
      JSON.stringify(history(name)).replaceAll('"fitEvaluation"', '"fitSomethingElse"'),
    ) as RecordedHistory;
    const error: unknown = await replay(changed).catch((reason: unknown) => reason);
    expect((error as Error).name).toBe('DeterminismViolationError');
  });
});
