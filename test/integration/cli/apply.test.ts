import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { Client, Connection, type ScheduleDescription } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { DAY_MS, HOUR_MS } from '../../../contracts/duration.js';
import type { ApplyReport } from '../../../contracts/schedules.js';
import { findTemporal } from '../../../infra/findTemporal.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { writeProjectModule, type DeclaredModel } from '../../support/projectModule.js';

const run = promisify(execFile);
const main = join(process.cwd(), 'dist', 'cli', 'main.js');

describe('tidemill apply', () => {
  let folder: string;
  let temporal: StartedTemporal;
  let connection: Connection;
  let client: Client;
  let modules = 0;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-apply-'));
    temporal = await startTemporal({ directory: join(folder, 'temporal') });
    connection = await Connection.connect({ address: temporal.address });
    client = new Client({ connection });
  });
  afterAll(async () => {
    await connection.close();
    await temporal.stop();
    await rm(folder, { recursive: true });
  });

  const tidemill = async (env: NodeJS.ProcessEnv, ...args: string[]): Promise<string> => {
    const { TIDEMILL_PROJECT: _module, TIDEMILL_PROJECT_ID: _id, ...rest } = process.env;
    const { stdout } = await run(process.execPath, [main, '--home', join(folder, 'home'), ...args], {
      env: { ...rest, TIDEMILL_TEMPORAL: temporal.address, ...env },
    });
    return stdout;
  };
  /** A module of its own each time: Node keeps what it has loaded. */
  const moduleOf = (id: string, models: readonly DeclaredModel[]): Promise<string> =>
    writeProjectModule(join(folder, `project${++modules}.mjs`), { id, models });
  const apply = async (module: string, ...args: string[]): Promise<ApplyReport> =>
    JSON.parse(await tidemill({}, 'apply', '--project', module, '--json', ...args)) as ApplyReport;
  const changesOf = ({ schedules }: ApplyReport): string[] => schedules.map(({ id, change }) => `${change} ${id}`);
  const described = (id: string): Promise<ScheduleDescription> => client.schedule.getHandle(id).describe();
  const listed = async (): Promise<string[]> => {
    const ids: string[] = [];
    for await (const { scheduleId } of client.schedule.list()) ids.push(scheduleId);
    return ids.sort();
  };

  const weekly: DeclaredModel = { name: 'weekly', options: `schedule: { every: '7d' }` };
  const nightly: DeclaredModel = {
    name: 'nightly',
    options: `schedule: { cron: '0 3 * * 1-7', timezone: 'Europe/Berlin', overlap: 'buffer', catchUp: '1h' }`,
  };
  const unscheduled: DeclaredModel = { name: 'unscheduled' };

  test('without effect says what it would do', async () => {
    const module = await moduleOf('shop', [weekly, nightly, unscheduled]);
    expect(await apply(module, '--dry-run')).toEqual({
      project: 'shop',
      applied: false,
      searchAttributes: [],
      schedules: [
        {
          id: 'shop/schedule/weekly',
          model: 'weekly',
          change: 'created',
          before: null,
          after: { times: 'every 7d', overlap: 'skip', catchUp: '1d', otherwise: [] },
          paused: false,
        },
        {
          id: 'shop/schedule/nightly',
          model: 'nightly',
          change: 'created',
          before: null,
          after: { times: '0 3 * * 1-7 Europe/Berlin', overlap: 'buffer', catchUp: '1h', otherwise: [] },
          paused: false,
        },
      ],
    });
    expect(await listed()).toEqual([]);
  });

  test('creates schedules with every policy set, which start retrains by the schedule', async () => {
    const module = await moduleOf('shop', [weekly, nightly, unscheduled]);
    const text = await tidemill({}, 'apply', '--project', module);
    expect(text).toMatch(/created +shop\/schedule\/weekly +every 7d +skip +1d\n/);
    expect(text).toContain('applied: 2 schedules, 0 search attributes');
    expect(await described('shop/schedule/weekly')).toMatchObject({
      spec: { intervals: [{ every: 7 * DAY_MS }], calendars: [] },
      policies: { overlap: 'SKIP', catchupWindow: DAY_MS, pauseOnFailure: true },
      action: {
        workflowType: 'retrainModel',
        workflowId: 'shop/retrain/weekly/schedule',
        taskQueue: 'shop/tidemill-lifecycle',
        args: [{ model: 'weekly', trigger: { kind: 'schedule' } }],
      },
      state: { paused: false },
    });
    expect((await described('shop/schedule/nightly')).policies).toEqual({
      overlap: 'BUFFER_ONE',
      catchupWindow: HOUR_MS,
      pauseOnFailure: true,
    });
  });

  test('asks the server for the times that the definition means', async () => {
    const { info } = await described('shop/schedule/nightly');
    const hours = info.nextActionTimes.map((time) =>
      new Intl.DateTimeFormat('en-GB', { timeZone: 'Europe/Berlin', timeStyle: 'short' }).format(time),
    );
    expect(new Set(hours)).toEqual(new Set(['03:00']));
    const days = info.nextActionTimes.map((time) => time.getUTCDay());
    // 1-7 is every day: Sunday is 7 as well as 0.
    expect(new Set(days).size).toBe(7);
    const thursdays = (await described('shop/schedule/weekly')).info.nextActionTimes;
    expect(new Set(thursdays.map((time) => time.getTime() % (7 * DAY_MS)))).toEqual(new Set([0]));
  });

  test('done again changes nothing', async () => {
    const module = await moduleOf('shop', [weekly, nightly, unscheduled]);
    const before = await described('shop/schedule/weekly');
    expect(changesOf(await apply(module))).toEqual([
      'unchanged shop/schedule/weekly',
      'unchanged shop/schedule/nightly',
    ]);
    expect((await described('shop/schedule/weekly')).info.lastUpdatedAt).toEqual(before.info.lastUpdatedAt);
    expect(await tidemill({}, 'apply', '--project', module)).toContain('nothing differs');
  });

  test('starts the workflow with the trigger of a schedule, under an id of its own', async () => {
    await client.schedule.getHandle('shop/schedule/weekly').trigger();
    let id: string | undefined;
    while (id === undefined) {
      await sleep(200);
      id = (await described('shop/schedule/weekly')).info.recentActions[0]?.action.workflow.workflowId;
    }
    expect(id).toMatch(/^shop\/retrain\/weekly\/schedule-\d{4}-/);
    const handle = client.workflow.getHandle(id);
    expect((await handle.describe()).type).toBe('retrainModel');
    await handle.terminate();
  });

  test('changes what the definition changed, and leaves a schedule paused that is', async () => {
    await client.schedule.getHandle('shop/schedule/weekly').pause('looking into it');
    const daily = { ...weekly, options: `schedule: { every: '1d', overlap: 'cancel' }` };
    const module = await moduleOf('shop', [daily, nightly, unscheduled]);
    const text = await tidemill({}, 'apply', '--project', module);
    expect(text).toMatch(
      /changed +shop\/schedule\/weekly +every 7d -> every 1d +skip -> cancel +1d +paused\nunchanged +shop\/schedule\/nightly/,
    );
    expect(await described('shop/schedule/weekly')).toMatchObject({
      spec: { intervals: [{ every: DAY_MS }] },
      policies: { overlap: 'CANCEL_OTHER' },
      state: { paused: true, note: 'looking into it' },
    });
  });

  test('sets back what somebody changed by other means', async () => {
    await client.schedule.getHandle('shop/schedule/nightly').update(({ spec, action, policies, state }) => ({
      spec: { ...spec, jitter: '5m' },
      action: { ...action, args: [{ model: 'another' }] },
      policies: { ...policies, pauseOnFailure: false },
      state,
    }));
    const module = await moduleOf('shop', [nightly]);
    const [nightlyChange] = (await apply(module, '--dry-run')).schedules;
    expect(nightlyChange).toMatchObject({ change: 'changed', before: { times: '0 3 * * 1-7 Europe/Berlin' } });
    expect([...(nightlyChange?.before?.otherwise ?? [])].sort()).toEqual(['input', 'jitter', 'pauseOnFailure']);
    await apply(await moduleOf('shop', [weekly, nightly]));
    expect(await described('shop/schedule/nightly')).toMatchObject({
      policies: { pauseOnFailure: true },
      action: { args: [{ model: 'nightly', trigger: { kind: 'schedule' } }] },
    });
  });

  test('removes schedules that are not declared any more, and none of another project', async () => {
    await apply(await moduleOf('shop-two', [weekly]));
    const wanted = ['shop-two/schedule/weekly', 'shop/schedule/nightly', 'shop/schedule/weekly'];
    while ((await listed()).length < wanted.length) await sleep(200);
    expect(await listed()).toEqual(wanted);
    // One model has lost its schedule, the other is gone altogether.
    const module = await moduleOf('shop', [{ name: 'weekly' }]);
    expect(changesOf(await apply(module))).toEqual(['removed shop/schedule/weekly', 'removed shop/schedule/nightly']);
    expect(changesOf(await apply(module))).toEqual([]);
    while ((await listed()).length > 1) await sleep(200);
    expect(await listed()).toEqual(['shop-two/schedule/weekly']);
  });

  test('does the same for healings of the views that a model reads', async () => {
    const healed = { name: 'weekly', options: `inputs: [customerSpending], heal: { every: '1d' }` };
    const module = await moduleOf('healings', [healed]);
    const id = 'healings/schedule/weekly/heal/customer_spending';
    expect(changesOf(await apply(module))).toEqual([`created ${id}`]);
    expect(await described(id)).toMatchObject({
      action: {
        workflowType: 'healFeatures',
        workflowId: 'healings/heal/customer_spending/schedule',
        taskQueue: 'healings/tidemill-lifecycle',
        args: [{ view: 'customer_spending' }],
      },
    });
    expect(changesOf(await apply(module))).toEqual([`unchanged ${id}`]);
    // The list may lag behind.
    while (!(await listed()).includes(id)) await sleep(200);
    const none = await moduleOf('healings', [{ name: 'weekly' }]);
    expect(changesOf(await apply(none))).toEqual([`removed ${id}`]);
  });

  test('does the same for audits, beside the retrains of a model', async () => {
    const audited = (options: string): DeclaredModel => ({
      name: 'weekly',
      options: `schedule: { every: '7d' }, audit: ${options}`,
    });
    const module = await moduleOf('audits', [audited(`{ cron: '0 4 * * *', sample: 500 }`)]);
    expect(changesOf(await apply(module))).toEqual([
      'created audits/schedule/weekly',
      'created audits/schedule/weekly/audit',
    ]);
    expect(await described('audits/schedule/weekly/audit')).toMatchObject({
      policies: { overlap: 'SKIP', catchupWindow: DAY_MS, pauseOnFailure: true },
      action: {
        workflowType: 'consistencyAudit',
        workflowId: 'audits/audit/weekly/schedule',
        taskQueue: 'audits/tidemill-lifecycle',
        args: [{ model: 'weekly', sample: 500 }],
      },
    });
    await client.schedule.getHandle('audits/schedule/weekly/audit').trigger();
    let id: string | undefined;
    while (id === undefined) {
      await sleep(200);
      id = (await described('audits/schedule/weekly/audit')).info.recentActions[0]?.action.workflow.workflowId;
    }
    expect(id).toMatch(/^audits\/audit\/weekly\/schedule-\d{4}-/);
    expect((await client.workflow.getHandle(id).describe()).type).toBe('consistencyAudit');
    await client.workflow.getHandle(id).terminate();

    expect(changesOf(await apply(module))).toEqual([
      'unchanged audits/schedule/weekly',
      'unchanged audits/schedule/weekly/audit',
    ]);
    const fewer = await moduleOf('audits', [audited(`{ cron: '0 4 * * *', sample: 400 }`)]);
    const [, change] = (await apply(fewer)).schedules;
    expect(change).toMatchObject({ model: 'weekly', change: 'changed', before: { otherwise: ['input'] } });
    const none = await moduleOf('audits', [{ name: 'weekly', options: `schedule: { every: '7d' }` }]);
    expect(changesOf(await apply(none))).toEqual([
      'unchanged audits/schedule/weekly',
      'removed audits/schedule/weekly/audit',
    ]);
    await apply(module);
    while (!(await listed()).includes('audits/schedule/weekly/audit')) await sleep(200);
    const gone = (await apply(await moduleOf('audits', []))).schedules;
    expect(gone.map(({ id: removed, model }) => [removed, model])).toEqual([
      ['audits/schedule/weekly', 'weekly'],
      ['audits/schedule/weekly/audit', 'weekly'],
    ]);
  });

  test('registers the search attributes that a namespace lacks', async () => {
    const address = ['--address', temporal.address];
    await run(await findTemporal(), ['operator', 'namespace', 'create', '--namespace', 'other', ...address]);
    const module = await moduleOf('shop', []);
    const env = { TIDEMILL_TEMPORAL_NAMESPACE: 'other' };
    const attributes = ['TidemillModel', 'TidemillPhase', 'TidemillVersion'];
    const say = async (...args: string[]): Promise<readonly string[]> =>
      (JSON.parse(await tidemill(env, 'apply', '--project', module, '--json', ...args)) as ApplyReport)
        .searchAttributes;
    let missing: readonly string[] | null = null;
    // A new namespace takes a moment until every part of the server knows it.
    while (missing === null) missing = await say('--dry-run').catch(() => sleep(500, null));
    expect(missing).toEqual(attributes);
    expect(await say()).toEqual(attributes);
    let left: readonly string[] = attributes;
    while (left.length > 0) left = await say('--dry-run');
    expect(left).toEqual([]);
  });
});
