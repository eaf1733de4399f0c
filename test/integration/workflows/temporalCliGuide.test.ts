import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { findTemporal } from '../../../infra/findTemporal.js';
import { RolloutServer } from '../../support/rolloutServer.js';

const run = promisify(execFile);
const guide = readFileSync(join(process.cwd(), 'docs', 'guides', 'temporal-cli.md'), 'utf8');

/** The commands of the guide that contain a text, each as it stands there. */
function commandsWith(text: string): string[] {
  const blocks = [...guide.matchAll(/```sh\n([^]*?)```/g)].map(([, block]) => block ?? '');
  const commands = blocks.flatMap((block) => block.replaceAll('\\\n', ' ').trim().split('\n'));
  return commands.filter((command) => command.includes(text));
}

let server: RolloutServer;
let program: string;
beforeAll(async () => {
  server = await RolloutServer.start();
  program = await findTemporal();
});
afterAll(() => server.stop());

/** Runs a command of the guide in a shell, with the variables that it names. */
async function shell(command: string | undefined, variables: Record<string, string> = {}): Promise<string> {
  if (command === undefined) throw new Error('the guide has no such command');
  const { stdout } = await run('sh', ['-c', `${command.replace(/^temporal/, '"$TEMPORAL"')} -o json`], {
    env: {
      PATH: `${dirname(program)}:${process.env['PATH'] ?? ''}`,
      HOME: server.home,
      TEMPORAL: program,
      TEMPORAL_ADDRESS: server.temporal.address,
      PROJECT: server.project,
      ...variables,
    },
  });
  return stdout;
}

test('the commands that approve, reject, roll back, pause and resume do what the guide says', async () => {
  for (const name of ['approve', 'approve', 'reject']) {
    const { request, workflowId } = await server.waiting();
    const [command] = commandsWith(`--name ${name}`);
    const variables = { VERSION: String(request.version), EVIDENCE: request.evidence };
    expect(await shell(command, variables)).toContain('"unverified"');
    expect((await server.client.retrainResult(workflowId)).outcome).toBe(
      name === 'approve' ? 'promoted' : 'notPromoted',
    );
    await server.atRest('fraud');
  }
  const [approve] = commandsWith('--name approve');
  const refused = await shell(approve, { VERSION: '1', EVIDENCE: 'x' }).catch((error: unknown) => String(error));
  expect(refused).toContain('APPROVAL_INVALID: fraud: nothing waits for an approval');

  await shell(commandsWith('--name pause')[0]);
  expect((await server.client.status('fraud')).paused).toMatchObject({ by: 'ada' });
  await shell(commandsWith('--name resume')[0]);
  expect((await server.client.status('fraud')).paused).toBeNull();

  const rollback = commandsWith('/rollback/fraud/by-hand');
  expect(rollback).toHaveLength(3);
  const said: string[] = [];
  for (const command of rollback) said.push(await shell(command));
  expect(said[1]).toContain('"steps"');
  expect(said[2]).toContain('rolledBack');
});
