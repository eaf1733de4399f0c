import { execFile } from 'node:child_process';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { findTemporal } from '../../../infra/findTemporal.js';
import { signApproval } from '../../../client/localIssuer.js';
import { claimsOf } from '../../support/approvals.js';
import { RolloutServer } from '../../support/rolloutServer.js';

const run = promisify(execFile);
const cli = join(process.cwd(), 'dist', 'cli', 'main.js');

interface Answer {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

let server: RolloutServer;
beforeAll(async () => {
  server = await RolloutServer.start();
});
afterAll(() => server.stop());

const tidemillIn = (env: NodeJS.ProcessEnv, ...args: string[]): Promise<Answer> =>
  run(process.execPath, [cli, ...args], { env: { ...server.env, ...env } }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failed: unknown) => failed as Answer,
  );
const tidemill = (...args: string[]): Promise<Answer> => tidemillIn({}, ...args);
const atRest = (): Promise<void> => server.atRest('fraud');

describe('approve and reject', () => {
  test('without an issuer an answer stands as unverified, and says so', async () => {
    const { request, workflowId } = await server.waiting();
    const { code, stdout, stderr } = await tidemill('approve', 'fraud', '--as', 'ada', '--yes');
    expect(stdout).toContain(`version ${request.version} of fraud was approved by ada (identity unverified)`);
    expect(stderr).toContain('no issuer is set up');
    expect(code).toBe(0);
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
    await atRest();
  });

  test('init makes a key for its owner alone; from then on answers are signed', async () => {
    const made = await tidemill('approval', 'init');
    expect(made.stdout).toContain('signs approvals from now on');
    expect((await stat(join(server.home, 'approval', 'issuer.key'))).mode & 0o777).toBe(0o600);
    expect((await tidemill('approval', 'init')).stdout).toContain('is there already');

    const { request, workflowId } = await server.waiting();
    const { code, stdout, stderr } = await tidemill(
      'approve',
      'fraud',
      '--as',
      'ada',
      '--reason',
      "it's good",
      '--yes',
    );
    expect(code).toBe(0);
    // What was shown: version, who asked, verdicts with their numbers, the hash of the evidence.
    expect(stderr).toContain(`version ${request.version} of fraud waits for an approval`);
    expect(stderr).toMatch(/asked by +olga\n/);
    expect(stderr).toMatch(/atLeast\(auc, 0\.8\) +absolute +pass +0\.9123 +0\.8 +58264 +385 /);
    expect(stderr).toContain(request.evidence);
    expect(stdout).toContain('was approved by ada (identity verified)');
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
    expect((await server.registry.approval('fraud', request.token))?.decision.reason).toBe("it's good");
    await atRest();
  });

  test('asks before it answers; programs pass --yes', async () => {
    const { workflowId } = await server.waiting();
    expect(await tidemill('approve', 'fraud')).toMatchObject({ code: 2, stdout: '' });
    const { code, stdout } = await tidemill('reject', 'fraud', '--as', 'ada', '--reason', 'no', '--yes', '--json');
    expect(code).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ model: 'fraud', workflowId, decision: { approved: false, by: 'ada' } });
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ reason: 'rejected by ada: no' });
    await atRest();
  });

  test('what is refused says why and what to do, under its exit code', async () => {
    const none = await tidemill('approve', 'fraud', '--yes');
    expect(none).toMatchObject({ code: 3, stdout: '' });
    expect(none.stderr).toMatch(
      /^APPROVAL_INVALID: fraud: nothing waits for an approval\n {2}Look whether anything waits/,
    );

    const { request, workflowId } = await server.waiting('ada');
    const own = await tidemill('approve', 'fraud', '--as', 'ada', '--yes', '--json');
    expect(own).toMatchObject({ code: 3, stdout: '' });
    expect(JSON.parse(own.stderr)).toMatchObject({
      error: { code: 'APPROVAL_INVALID', message: 'fraud: ada asked for it and cannot approve it' },
    });
    // A token of an earlier look, from a file.
    const file = join(server.home, 'token');
    const binding = claimsOf(request, { evidence: 'e'.repeat(64) });
    await writeFile(file, await signApproval(server.home, { project: server.project, subject: 'bob', binding }));
    const stale = await tidemill('approve', 'fraud', '--token', file, '--yes');
    expect(stale.stderr).toContain('the evidence is not what was shown');
    expect(stale.code).toBe(3);
    const unreadable = await tidemill('approve', 'fraud', '--token', `${file}.none`, '--yes');
    expect(unreadable).toMatchObject({ code: 2, stdout: '' });

    // Where an identity provider signs, this machine's key does not.
    const oidc = { TIDEMILL_OIDC_ISSUER: 'http://127.0.0.1:1', TIDEMILL_OIDC_AUDIENCE: 'tidemill' };
    const provider = await tidemillIn(oidc, 'approve', 'fraud', '--yes', '--json');
    expect(provider.code).toBe(4);
    expect(JSON.parse(provider.stderr)).toMatchObject({
      error: { code: 'APPROVAL_KEY_MISSING', details: { claims: claimsOf(request) } },
    });
    await tidemill('reject', 'fraud', '--as', 'ada', '--reason', 'enough', '--yes');
    await server.client.retrainResult(workflowId);
    await atRest();
  });

  test('--print gives a command of the Temporal CLI that answers, and sends nothing', async () => {
    const { workflowId } = await server.waiting();
    const { stdout } = await tidemill('approve', 'fraud', '--as', 'ada', '--reason', "it's good", '--print');
    expect(stdout).toMatch(
      /^temporal workflow update execute .*--workflow-id rollouts\/lifecycle\/fraud --name approve /,
    );
    expect((await server.lifecycle.retrainStatus(workflowId)).phase).toBe('approval');
    await run('sh', ['-c', stdout.trim().replace(/^temporal/, await findTemporal())]);
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
    await atRest();
  });
});

describe('retrain, rollback, pause, resume, lifecycle', () => {
  test('retrain names its workflow, or follows it to its end', async () => {
    const begun = await tidemill('retrain', 'automatic', '--allow-no-instances', '--json');
    const { workflowId } = JSON.parse(begun.stdout) as { workflowId: string };
    expect(workflowId).toMatch(/^rollouts\/retrain\/automatic\//);
    expect(await server.client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
    await server.atRest('automatic');
    const followed = await tidemill('retrain', 'automatic', '--allow-no-instances', '--follow', '--reason', 'again');
    expect(followed.stdout).toMatch(/^lease: token 2\n[^]*\npromoted version 2 in epoch \d+\n$/);
    expect(followed.code).toBe(0);
    await server.atRest('automatic');
  });

  test('rollback goes back, once; its workflow can be followed', async () => {
    const back = await tidemill('rollback', 'automatic', '--reason', 'blocks good customers');
    expect(back.stdout).toMatch(
      /^rollback: from version 2, [^]*\nrolled back from version 2 to version 1 in epoch \d+\n$/,
    );
    const again = await tidemill('rollback', 'automatic', '--reason', 'twice', '--json');
    expect(JSON.parse(again.stdout)).toMatchObject({ outcome: 'alreadyRolledBack', to: 1 });
    const workflowId = back.stderr.trim();
    expect((await tidemill('follow', workflowId)).stdout).toBe(back.stdout);
    const withdrawn = await tidemill('rollback', 'automatic', '--reason', 'x', '--to', '2');
    expect(withdrawn.stderr).toMatch(
      /ROLLBACK_IMPOSSIBLE: automatic cannot go back: version 2 is withdrawn .*\n {2}Look at/,
    );
    expect(withdrawn.code).toBe(3);
    expect((await tidemill('follow', withdrawn.stderr.split('\n')[0] as string)).code).toBe(3);
  });

  test('pause, lifecycle and resume show who stopped what', async () => {
    expect((await tidemill('pause', 'automatic', '--reason', 'labels', '--as', 'ada')).stdout).toBe(
      'automatic is paused\n',
    );
    const shown = await tidemill('lifecycle', 'automatic');
    expect(shown.stdout).toBe(
      'automatic\n  rollout  none\n  queued   none\n  paused   by ada: labels\n\ndrift cases\nnone\n',
    );
    expect((await tidemill('resume', 'automatic')).code).toBe(0);
    const status = JSON.parse((await tidemill('lifecycle', 'automatic', '--json')).stdout) as object;
    expect(status).toMatchObject({ model: 'automatic', cases: [], rollout: null, queued: null, paused: null });
  });

  test('a model or a project that there is not is named', async () => {
    const model = await tidemill('retrain', 'nosuch');
    expect(model).toMatchObject({ code: 2, stdout: '' });
    expect(model.stderr).toMatch(/^DEFINITION_INVALID: .*there is no model "nosuch"/);
    expect((await tidemill('lifecycle', 'neither')).stderr).toMatch(/^WORKFLOW_NOT_FOUND: /);
    const project = await tidemillIn({ TIDEMILL_PROJECT_ID: '' }, 'pause', 'fraud', '--reason', 'x');
    expect(project).toMatchObject({ code: 2, stdout: '' });
    expect(project.stderr).toContain('TIDEMILL_PROJECT_ID');
  });

  test('a folder without a registry has nothing to approve', async () => {
    const empty = await mkdtemp(join(tmpdir(), 'tidemill-empty-'));
    const { code, stderr } = await tidemillIn({ TIDEMILL_HOME: empty }, 'approve', 'fraud', '--yes');
    expect(stderr).toContain('CONFIGURATION_INVALID');
    expect(code).toBe(2);
    await rm(empty, { recursive: true });
  });
});
