import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ModelReport, VersionReport } from '../../../contracts/modelReport.js';
import type { Verdict } from '../../../models/gates/verdict.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';

const run = promisify(execFile);
const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
const projectModule = join(process.cwd(), 'dist', 'examples', 'fraud', 'project.js');

const verdict: Verdict = {
  gate: 'superior(average_precision)',
  kind: 'champion',
  verdict: 'pass',
  value: 0.0512,
  low: 0.0203,
  high: 0.0911,
  bound: 0,
  rows: 58_264,
  positives: 385,
  look: 1,
  reason: 'average_precision 0.6390 against 0.5878',
};

describe('models list and models show', () => {
  let home: string;
  beforeAll(async () => {
    home = await mkdtemp(join(tmpdir(), 'tidemill-models-'));
    const registry = await openSqliteRegistry({ file: join(home, 'registry.db'), project: 'p' });
    for (const number of [1, 2, 3]) {
      const fence = await registry.openRollout('fraud', `p/retrain/fraud/${number}`, number === 1 ? 'manual' : 'drift');
      const { version } = await registry.registerVersion(
        {
          model: 'fraud',
          artifact: { uri: `objects://models/${number}.onnx`, sha256: String(number).repeat(64), bytes: 1_234 },
          service: 'e'.repeat(64),
          columns: ['amount', 'count_1d'],
          dataset: { uri: `objects://manifests/${number}.json`, sha256: 'd'.repeat(64) },
          trainer: 'xgboost',
          hyperparameters: { kind: 'xgboost', rounds: 100, learningRate: 0.3 },
          codeVersion: '0.1.0',
          workflow: { id: `p/retrain/fraud/${number}`, runId: 'r' },
          trigger: 'manual',
          metrics: { auc: 0.86 + number / 1_000, average_precision: 0.6 },
          lineage: {},
        },
        fence,
      );
      await registry.storeEvidence(fence, null, 'champion/superior', { ...verdict, verdict: 'inconclusive' });
      await registry.storeEvidence(fence, version, 'champion/superior', verdict);
      if (number === 3) await registry.rejectVersion('fraud', 3, 'the gates say no', fence);
      else {
        await registry.changeDeployment({
          fence,
          step: 'commit',
          expectEpoch: number - 1,
          next: { mode: 'single', champion: version, challenger: null, share: 0, salt: '', prepare: null },
          actor: `rollout ${fence.token}`,
          reason: `promote version ${version}`,
          evidence: null,
        });
      }
      await registry.closeRollout(fence, number === 3 ? 'not promoted' : 'promoted');
    }
    await registry.close();
  });
  afterAll(() => rm(home, { recursive: true }));

  const tidemill = async (...args: string[]): Promise<{ stdout: string; stderr: string }> => {
    const { TIDEMILL_PROJECT: _project, ...env } = process.env;
    return run(process.execPath, [cli, '--home', home, ...args], { env: { ...env, TIDEMILL_PROJECT_ID: 'p' } });
  };
  const failure = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> =>
    tidemill(...args).then(
      () => {
        throw new Error('it did not fail');
      },
      (reason: unknown) => reason as { code: number; stdout: string; stderr: string },
    );

  test('list shows the versions newest first, with role, status, metrics and hashes', async () => {
    const table = (await tidemill('models', 'list', 'fraud')).stdout.trim().split('\n');
    expect(table[0]).toMatch(
      /^model +version +status +role +trigger +created +auc +average precision +gates +sha256 +data$/,
    );
    expect(table[1]).toMatch(
      /^fraud +3 +rejected +manual +\d{4}-.*Z +0\.863 +0\.6 +1 pass +333333333333 +dddddddddddd$/,
    );
    expect(table[2]).toMatch(/^fraud +2 +registered +champion +manual /);
    expect(table[3]).toMatch(/^fraud +1 +registered +manual /);
    const rows = JSON.parse((await tidemill('models', 'list', 'fraud', '--json')).stdout) as VersionReport[];
    expect(rows.map(({ version, role }) => [version, role])).toEqual([
      [3, null],
      [2, 'champion'],
      [1, null],
    ]);
  });

  test('list of the whole project needs the project, and says so', async () => {
    expect((await tidemill('models', 'list', '--project', projectModule)).stdout).toContain('champion');
    const failed = await failure('models', 'list');
    expect(failed).toMatchObject({ code: 2, stdout: '' });
    expect(failed.stderr).toContain('TIDEMILL_PROJECT');
  });

  test('show gives the champion with the numbers that its verdicts rest on', async () => {
    const { stdout } = await tidemill('models', 'show', 'fraud');
    expect(stdout).toMatch(/^fraud version 2\n {2}status +registered, champion\n/);
    expect(stdout).toContain('learningRate 0.3, rounds 100');
    expect(stdout).toContain(`sha256    ${'2'.repeat(64)}`);
    expect(stdout).toMatch(
      /superior\(average_precision\) +champion +pass +0\.0512 +\[0\.0203, 0\.0911\] +0 +58264 +385 /,
    );
    expect(stdout).not.toContain('inconclusive');
    expect(stdout).toContain('deployment\nepoch 2, single, champion 2');
    expect(stdout).toMatch(/3 +drift +\S+ +not promoted /);
    expect(stdout).toMatch(/audit \(\d+ rows, chain intact\)\n/);
    expect(stdout).toMatch(/rollout 2 +\S+ +promote version 2/);
  });

  test('show of a version gives programs everything in one object', async () => {
    const { stdout } = await tidemill('models', 'show', 'fraud', '3', '--json');
    const shown = JSON.parse(stdout) as Omit<ModelReport, 'versions'> & { version: VersionReport };
    expect(shown).toMatchObject({
      model: 'fraud',
      deployment: { epoch: 2, champion: 2 },
      version: { version: 3, status: 'rejected', reason: 'the gates say no', role: null, verdicts: [verdict] },
      audit: { chain: 'intact', problem: null },
    });
    expect(shown.rollouts.map(({ token, outcome }) => [token, outcome])).toEqual([
      [3, 'not promoted'],
      [2, 'promoted'],
      [1, 'promoted'],
    ]);
  });

  test('a version or a model that there is not is named', async () => {
    const version = await failure('models', 'show', 'fraud', '9');
    expect(version).toMatchObject({ code: 1, stdout: '' });
    expect(version.stderr).toMatch(/^VERSION_NOT_FOUND: fraud has no version 9\n/);
    expect((await failure('models', 'show', 'nosuch')).stderr).toMatch(/^VERSION_NOT_FOUND: .*no model nosuch/);
  });
});
