import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DAY_MS } from '../../../contracts/duration.js';
import type { CheckReport } from '../../../contracts/planReport.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../contract/stores/registry/registrySuite.js';
import { writeProjectModule, type DeclaredModel } from '../../support/projectModule.js';

const run = promisify(execFile);
const main = join(process.cwd(), 'dist', 'cli', 'main.js');
const traffic = ['--requests-per-day', '1000', '--positive-share', '0.01'];

describe('tidemill check', () => {
  let folder: string;
  let home: string;
  let modules = 0;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-check-'));
    home = join(folder, 'home');
  });
  afterAll(() => rm(folder, { recursive: true }));

  const moduleOf = (...models: readonly DeclaredModel[]): Promise<string> =>
    writeProjectModule(join(folder, `project${++modules}.mjs`), { id: 'shop', models });
  const check = async (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
    const { TIDEMILL_PROJECT: _module, TIDEMILL_PROJECT_ID: _id, TIDEMILL_REGISTRY: _registry, ...env } = process.env;
    return run(process.execPath, [main, '--home', home, 'check', ...args], { env }).then(
      (done) => ({ code: 0, ...done }),
      (failed: unknown) => failed as { code: number; stdout: string; stderr: string },
    );
  };
  const phased: DeclaredModel = {
    name: 'phased',
    options: `shadow: { requests: 2000, atMost: '4d' }, bake: '6h', probation: { positives: 20, atMost: '14d' },
      gates: { absolute: [atLeast('auc', 0.8)], refresh: [], drift: [], operational: [errors(0.1)] }`,
  };

  test('says how many days each phase of a rollout takes', async () => {
    const module = await moduleOf(phased, { name: 'plain' });
    const { code, stdout } = await check('--project', module, ...traffic);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^phased: 1000 requests a day, 0\.01 of them positive \(options\)\n/);
    expect(stdout).toMatch(/\nshadow +2\.0d +4\.0d\nbake +0\.3d +0\.3d\nprobation +9\.0d +14\.0d\n/);
    expect(stdout).toContain('a rollout takes 11.3d or more\n\nplain: ');
    expect(stdout).toContain('a rollout waits for nothing');
  });

  test('refuses a plan that cannot be kept, with exit code 2 and the plan', async () => {
    const hasty = { ...phased, options: phased.options?.replace(`'4d'`, `'1d'`) ?? '' };
    const { code, stdout, stderr } = await check('--project', await moduleOf(hasty), ...traffic, '--json');
    expect(code).toBe(2);
    const [model] = (JSON.parse(stdout) as CheckReport).models;
    expect(model?.phases[0]).toEqual({
      phase: 'shadow',
      evidence: 'its evidence of 2000 requests',
      days: 2,
      atMostDays: 1,
    });
    expect(JSON.parse(stderr)).toMatchObject({
      error: {
        code: 'PLAN_UNREACHABLE',
        message: 'phased: shadow: its evidence of 2000 requests at 1000 requests a day takes 2.0d; atMost is 1d',
      },
    });
  });

  test('counts delays alone while no traffic is known', async () => {
    const { code, stdout } = await check('--project', await moduleOf(phased), '--json');
    expect(code).toBe(0);
    expect((JSON.parse(stdout) as CheckReport).models[0]).toMatchObject({ traffic: null, days: 7.25, problems: [] });
    const early = { ...phased, options: phased.options?.replace(`'14d'`, `'6d'`) ?? '' };
    expect((await check('--project', await moduleOf(early))).stderr).toContain('a label delay of 7d');
  });

  test("takes the traffic of the newest version's dataset", async () => {
    const objects = openDiskObjectStore(join(home, 'objects'));
    const manifest = { rows: 14_000, positives: 70, window: { from: 0, to: 7 * DAY_MS } };
    const dataset = await objects.put('manifests', 'json', Buffer.from(JSON.stringify(manifest)));
    const registry = await openSqliteRegistry({ file: join(home, 'registry.db'), project: 'shop' });
    const fence = await registry.openRollout('phased', 'holder', 'manual');
    await registry.registerVersion({ ...draftOf('phased', 'a'.repeat(64)), dataset }, fence);
    await registry.close();
    const { stdout } = await check('--project', await moduleOf(phased), '--json');
    expect((JSON.parse(stdout) as CheckReport).models[0]?.traffic).toEqual({
      requestsPerDay: 2_000,
      positiveShare: 0.005,
      from: 'dataset of version 1',
    });
  });

  test('names a definition that is wrong', async () => {
    const wrong = { name: 'wrong', options: `schedule: { cron: '0 25 * * *' }` };
    const { code, stdout, stderr } = await check('--project', await moduleOf(wrong));
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(/^DEFINITION_INVALID: wrong\.schedule\.cron: /);
  });
});
