import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { ERROR_CODES, type ErrorCode } from '../../../contracts/errorCodes.js';
import { lifecycleQueue } from '../../../contracts/workflows.js';
import { RolloutServer } from '../../support/rolloutServer.js';

const cli = join(process.cwd(), 'dist', 'cli', 'main.js');

let server: RolloutServer;
beforeAll(async () => {
  server = await RolloutServer.start();
}, 120_000);
afterAll(() => server.stop());

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
const tidemill = (...args: string[]): Promise<Answer> =>
  promisify(execFile)(process.execPath, [cli, ...args], { env: server.env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failed: unknown) => failed as Answer,
  );

/** All that a failure says, as the Temporal UI shows it: from the outermost message to its innermost cause. */
function messagesOf(error: unknown): string {
  if (!(error instanceof Error)) return '';
  return `${error.message}\n${messagesOf(error.cause)}`;
}

interface Refusal {
  readonly what: string;
  readonly code: ErrorCode;
  /** Part of the explanation. */
  readonly why: string;
  readonly workflow: readonly [type: string, input: unknown];
  readonly ask: () => Promise<unknown>;
  readonly command: readonly string[];
}

const refusals: readonly Refusal[] = [
  {
    what: 'a plan that can never gather its evidence',
    code: 'PLAN_UNREACHABLE',
    why: 'probation: ',
    workflow: ['retrainModel', { model: 'unreachable' }],
    ask: () => server.client.requestRetrain('unreachable'),
    command: ['retrain', 'unreachable'],
  },
  {
    what: 'a model that there is not',
    code: 'DEFINITION_INVALID',
    why: 'there is no model "nosuch"',
    workflow: ['retrainModel', { model: 'nosuch' }],
    ask: () => server.client.requestRetrain('nosuch'),
    command: ['retrain', 'nosuch'],
  },
  {
    what: 'an input with a wrong field',
    code: 'INPUT_INVALID',
    why: 'rollbackModel: reason',
    workflow: ['rollbackModel', { model: 'automatic', reason: '' }],
    ask: () => server.client.rollback('automatic', { reason: '' }),
    command: ['rollback', 'automatic', '--reason', ''],
  },
  {
    what: 'a rollback that has nowhere to go',
    code: 'ROLLBACK_IMPOSSIBLE',
    why: 'nothing has been promoted',
    workflow: ['rollbackModel', { model: 'never-promoted', reason: 'x' }],
    ask: () => server.client.rollback('never-promoted', { reason: 'x' }),
    command: ['rollback', 'never-promoted', '--reason', 'x'],
  },
];

describe.each(refusals)(
  '$what is refused with its code, why, and what to do',
  ({ code, why, workflow, ask, command }) => {
    const { exit, action } = ERROR_CODES[code];

    test('in the failure of the workflow', { timeout: 60_000 }, async () => {
      const [type, input] = workflow;
      const handle = await server.lifecycle.temporal.workflow.start(type, {
        workflowId: `by-hand/${randomUUID()}`,
        taskQueue: lifecycleQueue(server.project),
        args: [input],
      });
      const said = messagesOf(await handle.result().catch((error: unknown) => error));
      expect(said).toContain(`${code}: `);
      expect(said).toContain(why);
      expect(said).toContain(action);
    });

    test('through the client', { timeout: 60_000 }, async () => {
      const error: unknown = await ask().catch((thrown: unknown) => thrown);
      if (!isTidemillError(error, code)) throw error;
      expect(error.message).toContain(why);
      expect(error.action).toBe(action);
    });

    test('on the command line', { timeout: 60_000 }, async () => {
      const { code: status, stderr } = await tidemill(...command);
      expect(status).toBe(exit);
      expect(stderr).toContain(`${code}: `);
      expect(stderr).toContain(why);
      expect(stderr).toContain(action);
    });
  },
);

test('an artifact that was withdrawn is refused when it is offered again', { timeout: 120_000 }, async () => {
  const retrain = async (): Promise<string> => {
    const { workflowId } = await server.client.requestRetrain('automatic', { allowNoInstances: true });
    await server.client.retrainResult(workflowId);
    await server.atRest('automatic');
    return workflowId;
  };
  await retrain();
  await retrain();
  await server.client.rollback('automatic', { reason: 'blocks good customers' });
  await server.atRest('automatic');
  const withdrawn = (await server.registry.versions('automatic')).find(({ status }) => status === 'withdrawn');
  server.offered = withdrawn?.artifact.sha256 ?? '';
  const workflowId = await retrain();

  const why = `VERSION_WITHDRAWN: the artifact ${server.offered} of automatic was withdrawn as version ${withdrawn?.version}: blocks good customers`;
  const result = await server.client.retrainResult(workflowId);
  expect(result).toMatchObject({ outcome: 'notPromoted', version: null });
  expect(JSON.stringify(result)).toContain(why);
  // The Temporal UI shows the result; the activity that refused it stands in the history with its code.
  const { events } = await server.lifecycle.temporal.workflow.getHandle(workflowId).fetchHistory();
  const failed = (events ?? []).flatMap(({ activityTaskFailedEventAttributes: each }) => each?.failure?.message ?? []);
  expect(failed.join()).toContain(why);
  const followed = await tidemill('follow', workflowId);
  expect(followed.code).toBe(3);
  expect(followed.stdout).toContain(why);
});
