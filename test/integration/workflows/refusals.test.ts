import { execFile } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { ERROR_CODES, type ErrorCode } from '../../../contracts/errorCodes.js';
import { lifecycleId, lifecycleQueue } from '../../../contracts/workflows.js';
import { findTemporal } from '../../../infra/findTemporal.js';
import { RolloutServer } from '../../support/rolloutServer.js';

const cli = join(process.cwd(), 'dist', 'cli', 'main.js');

let server: RolloutServer;
let temporal: string;
beforeAll(async () => {
  server = await RolloutServer.start();
  temporal = await findTemporal();
}, 120_000);
afterAll(() => server.stop());

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}
const ran = (program: string, ...args: string[]): Promise<Answer> =>
  promisify(execFile)(program, args, { env: server.env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failed: unknown) => failed as Answer,
  );
const tidemill = (...args: string[]): Promise<Answer> => ran(process.execPath, cli, ...args);
const temporalCli = (...args: string[]): Promise<Answer> =>
  ran(temporal, ...args, '--address', server.temporal.address);

/** The first line of a workflow's failure, as the Temporal UI shows it; null where it has not failed. */
async function failureOf(workflowId: string): Promise<string | null> {
  const { events } = await server.lifecycle.temporal.workflow.getHandle(workflowId).fetchHistory();
  return events?.at(-1)?.workflowExecutionFailedEventAttributes?.failure?.message ?? null;
}

/** The command line of Temporal quotes what it logs. */
const unquoted = (text: string): string => text.replaceAll('\\"', '"');

interface Refusal {
  readonly what: string;
  readonly code: ErrorCode;
  /** Part of the explanation. */
  readonly why: string;
  /** The input as JSON, null for none at all; absent for what no workflow takes. */
  readonly workflow?: readonly [type: string, input: string | null];
  /** Update of the model's lifecycle that asks for the same. */
  readonly update?: readonly [model: string, name: string, input: string];
  /** Absent where the client's types leave no room for it. */
  readonly ask?: () => Promise<unknown>;
  /** Absent where the command line has no such option. */
  readonly command?: readonly string[];
}

const refusals: readonly Refusal[] = [
  {
    what: 'a plan that can never gather its evidence',
    code: 'PLAN_UNREACHABLE',
    why: 'probation: ',
    workflow: ['retrainModel', '{"model":"unreachable"}'],
    ask: () => server.client.requestRetrain('unreachable'),
    command: ['retrain', 'unreachable'],
  },
  {
    what: 'a model that there is not',
    code: 'DEFINITION_INVALID',
    why: 'there is no model "nosuch"',
    workflow: ['retrainModel', '{"model":"nosuch"}'],
    ask: () => server.client.requestRetrain('nosuch'),
    command: ['retrain', 'nosuch'],
  },
  {
    what: 'a rollback of a model that there is not',
    code: 'DEFINITION_INVALID',
    why: 'there is no model "nosuch"',
    workflow: ['rollbackModel', '{"model":"nosuch","reason":"x"}'],
    ask: () => server.client.rollback('nosuch', { reason: 'x' }),
    command: ['rollback', 'nosuch', '--reason', 'x'],
  },
  {
    what: 'a field that there is not',
    code: 'INPUT_INVALID',
    why: 'retrainModel: supercede: Unexpected property',
    workflow: ['retrainModel', '{"model":"automatic","supercede":true}'],
    update: ['automatic', 'requestRetrain', '{"supercede":true}'],
    ask: () => server.client.requestRetrain('automatic', { supercede: true } as never),
  },
  {
    what: 'a field of another type',
    code: 'INPUT_INVALID',
    why: 'retrainModel: requestedBy: Expected string',
    workflow: ['retrainModel', '{"model":"automatic","requestedBy":7}'],
    update: ['automatic', 'requestRetrain', '{"requestedBy":7}'],
    ask: () => server.client.requestRetrain('automatic', { requestedBy: 7 } as never),
  },
  {
    what: 'no input at all',
    code: 'INPUT_INVALID',
    why: 'retrainModel: ',
    workflow: ['retrainModel', null],
  },
  {
    what: 'a field without a value',
    code: 'INPUT_INVALID',
    why: 'rollbackModel: reason',
    workflow: ['rollbackModel', '{"model":"automatic","reason":""}'],
    update: ['automatic', 'rollback', '{"reason":""}'],
    ask: () => server.client.rollback('automatic', { reason: '' }),
    command: ['rollback', 'automatic', '--reason', ''],
  },
  {
    what: 'a rollback that has nowhere to go',
    code: 'ROLLBACK_IMPOSSIBLE',
    why: 'nothing has been promoted',
    workflow: ['rollbackModel', '{"model":"never-promoted","reason":"x"}'],
    ask: () => server.client.rollback('never-promoted', { reason: 'x' }),
    command: ['rollback', 'never-promoted', '--reason', 'x'],
  },
  {
    what: 'an approval where nothing waits',
    code: 'APPROVAL_INVALID',
    why: 'automatic: nothing waits for an approval',
    update: ['automatic', 'approve', '{"token":"a.b.c"}'],
    ask: () => server.client.approve('automatic', { token: 'a.b.c' }),
    command: ['approve', 'automatic', '--yes'],
  },
];

/** Ways that a refusal is asked for, one test each. */
function casesOf<Way>(way: (refusal: Refusal) => Way | undefined): readonly (Refusal & { readonly way: Way })[] {
  return refusals.flatMap((refusal) => {
    const found = way(refusal);
    return found === undefined ? [] : [{ ...refusal, way: found }];
  });
}

beforeAll(async () => {
  // A lifecycle that updates can be sent to.
  const { workflowId } = await server.client.requestRetrain('automatic', { allowNoInstances: true });
  await server.client.retrainResult(workflowId);
  await server.atRest('automatic');
}, 60_000);

describe('with its code, why, and what to do, it is refused', () => {
  test.each(casesOf(({ workflow }) => workflow))(
    'in the failure of the workflow: $what',
    async ({ code, why, way: [type, input] }) => {
      const workflowId = `by-hand/${randomUUID()}`;
      const { stdout, code: status } = await temporalCli(
        ...['workflow', 'execute', '--type', type, '--workflow-id', workflowId],
        ...['--task-queue', lifecycleQueue(server.project), ...(input === null ? [] : ['--input', input])],
      );
      expect(status).toBe(1);
      const first = await failureOf(workflowId);
      for (const part of [`${code}: `, why, ERROR_CODES[code].action]) {
        expect(stdout).toContain(part);
        expect(first).toContain(part);
      }
    },
  );

  test.each(casesOf(({ update }) => update))(
    'in the failure of an update: $what',
    async ({ code, why, way: [model, name, input] }) => {
      const { stderr, code: status } = await temporalCli(
        ...['workflow', 'update', 'execute', '--workflow-id', lifecycleId(server.project, model)],
        ...['--name', name, '--input', input],
      );
      expect(status).toBe(1);
      for (const part of [`unable to update workflow: ${code}: `, why, ERROR_CODES[code].action])
        expect(unquoted(stderr)).toContain(part);
    },
  );

  test.each(casesOf(({ ask }) => ask))('through the client: $what', async ({ code, why, way: ask }) => {
    const error: unknown = await ask().catch((thrown: unknown) => thrown);
    if (!isTidemillError(error, code)) throw error;
    expect(error.message).toContain(why);
    expect(error.action).toBe(ERROR_CODES[code].action);
  });

  test.each(casesOf(({ command }) => command))('on the command line: $what', async ({ code, why, way: command }) => {
    const { code: status, stderr } = await tidemill(...command);
    const { exit, action } = ERROR_CODES[code];
    expect(status).toBe(exit);
    for (const part of [`${code}: `, why, action]) expect(stderr).toContain(part);
  });
});

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
  const { action } = ERROR_CODES.VERSION_WITHDRAWN;
  const result = await server.client.retrainResult(workflowId);
  if (result.outcome !== 'notPromoted') throw new Error(JSON.stringify(result));
  expect(result.version).toBeNull();
  for (const part of [why, action]) expect(result.reason).toContain(part);
  // The Temporal UI shows the result; the activity that refused it stands in the history with its code.
  const { events } = await server.lifecycle.temporal.workflow.getHandle(workflowId).fetchHistory();
  const failed = (events ?? []).flatMap(({ activityTaskFailedEventAttributes: each }) => each?.failure?.message ?? []);
  for (const part of [why, action]) expect(failed.join()).toContain(part);
  const shown = await temporalCli('workflow', 'result', '--workflow-id', workflowId);
  for (const part of [why, action]) expect(shown.stdout).toContain(part);
  const followed = await tidemill('follow', workflowId);
  expect(followed.code).toBe(3);
  for (const part of [why, action]) expect(followed.stdout).toContain(part);

  // Nor does a rollback go to it.
  const to = withdrawn?.version ?? 0;
  const back: unknown = await server.client.rollback('automatic', { reason: 'x', to }).catch((error: unknown) => error);
  if (!isTidemillError(back, 'ROLLBACK_IMPOSSIBLE')) throw back;
  expect(back.message).toContain(`version ${to}`);
});
