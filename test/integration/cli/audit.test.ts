import { execFile } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { DefaultLogger, NativeConnection, Runtime } from '@temporalio/worker';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createAuditActivities, type ActivityDependencies } from '../../../activities/index.js';
import { TidemillClient } from '../../../client/tidemillClient.js';
import type { AuditResult } from '../../../contracts/consistency.js';
import type { ModelReport } from '../../../contracts/modelReport.js';
import { startTemporal, type StartedTemporal } from '../../../infra/temporal.js';
import { modelOf } from '../../../models/project.js';
import { project } from '../../../examples/fraud/project.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../../support/approvals.js';
import { serveLifecycle } from '../../support/lifecycleWorkers.js';
import { paymentRecord, START } from '../../support/payments.js';
import { labelAfter, ServedWorld } from '../../support/servedWorld.js';

const run = promisify(execFile);
const cli = join(process.cwd(), 'dist', 'cli', 'main.js');
const MINUTE = 60_000;
const COUNT = 400;
const END = START + COUNT * MINUTE;
const RANGE = ['--from', new Date(START).toISOString(), '--to', new Date(END).toISOString()];

let home: string;
let world: ServedWorld;
let temporal: StartedTemporal;
let registry: Registry;
let client: TidemillClient;
let connection: NativeConnection;
let served: Awaited<ReturnType<typeof serveLifecycle>>;
beforeAll(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidemill-audit-'));
  world = await ServedWorld.start();
  const made = world.payments(COUNT, 1, START);
  const labels = made.map((each) => labelAfter(world.project, each, MINUTE));
  await world.serve([...labels.slice(0, 300), ...made.map((each) => paymentRecord(world.project, each))]);
  // The last hundred labels were on their way.
  await world.serve(labels.slice(300));
  await world.archive();
  await world.finish(END);
  temporal = await startTemporal({ directory: join(home, 'temporal') });
  registry = await openSqliteRegistry({ file: join(home, 'registry.db'), project: world.project });
  const fence = await registry.openRollout('fraud', 'w1', 'manual');
  await registry.registerVersion(draftOf('fraud'), fence);
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  connection = await NativeConnection.connect({ address: temporal.address });
  client = await TidemillClient.connect({ project: world.project, address: temporal.address });
  served = await serveLifecycle({
    connection,
    project: world.project,
    activities: createAuditActivities({
      ...world.parts,
      registry,
      modelOf: (name: string) => modelOf(project, name),
    } as unknown as ActivityDependencies),
  });
});
afterAll(async () => {
  await served.stop();
  await client.close();
  await connection.close();
  await registry.close();
  await temporal.stop();
  await world.stop();
  await rm(home, { recursive: true });
});

const tidemill = (...args: string[]): Promise<{ code: number; stdout: string; stderr: string }> => {
  const env = { TIDEMILL_TEMPORAL: temporal.address, TIDEMILL_PROJECT_ID: world.project };
  return run(process.execPath, [cli, '--home', home, ...args], { env: { ...process.env, ...env } }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (failed: unknown) => failed as { code: number; stdout: string; stderr: string },
  );
};

describe('tidemill audit', () => {
  test('says that what was served is consistent, and how it differs from event time', async () => {
    const { code, stdout, stderr } = await tidemill('audit', 'fraud', ...RANGE, '--sample', '300');
    expect(stdout).toMatch(/^range: requests of 2018-04-01T00:00:00\.000Z to 2018-04-01T06:40:00\.000Z, at most 300 /);
    expect(stdout).toContain(`recompute: 300 vectors of ${COUNT} served requests`);
    expect(stdout).toMatch(
      /\nconsistent: 0 of 300 served vectors differ within their cut; [1-9][\d.]+ % differ from event time \(in flight [1-9]/,
    );
    expect(stdout).toContain(
      `\n  service ${world.model.service.hash.slice(0, 12)} (no version): ${COUNT} requests, 300 recomputed, 0 differ within`,
    );
    expect(stderr).toContain('world/audit/fraud/2018-04-01T00:00:00.000Z..2018-04-01T06:40:00.000Z');
    expect(code).toBe(0);
  });

  test('gives programs one object, and the registry keeps the result', async () => {
    const { stdout } = await tidemill('audit', 'fraud', ...RANGE, '--json');
    const found = JSON.parse(stdout) as AuditResult & { readonly workflowId: string };
    expect(found).toMatchObject({ outcome: 'consistent', rows: COUNT, vectors: COUNT, differing: 0, maxDifference: 0 });
    const all = { rows: COUNT, drawn: COUNT, vectors: COUNT, differing: 0, reason: null };
    expect(found.services).toEqual([expect.objectContaining({ ...all, service: world.model.service.hash })]);
    const rows = (await registry.auditRows('fraud')).filter(({ action }) => action === 'consistency.audited');
    expect(rows).toHaveLength(2);
    const { workflowId, ...result } = found;
    expect(rows[1]?.actor).toContain(workflowId);
    expect(rows[1]?.after).toEqual(result);
    const shown = await tidemill('models', 'show', 'fraud', '--json');
    expect((JSON.parse(shown.stdout) as ModelReport).consistency?.result).toEqual(result);
    expect((await tidemill('models', 'show', 'fraud')).stdout).toMatch(/\nconsistency\n\S+Z, consistent: 0 of 400 /);
  });

  test('ends with exit code 3 where there is nothing to recompute, or what was served is not what it should be', async () => {
    const nothing = await tidemill('audit', 'fraud', '--from', '2030-01-01T00:00:00Z');
    expect(nothing.code).toBe(3);
    expect(nothing.stdout).toContain('inconclusive: no request of the range was served');
    const [first] = await world.predictions();
    const forged = { ...first, vector: first?.vector.map((value, at) => (at === 3 ? 77 : value)) };
    await world.send([{ topic: 'world.fraud.predictions', key: 'x', value: JSON.stringify(forged) }]);
    const { code, stdout } = await tidemill('audit', 'fraud', ...RANGE, '--sample', '100000');
    expect(stdout).toMatch(/\ninconsistent: 1 of \d+ served vectors differ within their cut; /);
    expect(stdout).toMatch(/\n {2}prediction \d+, \w+: served 77, the interpreter says /);
    expect(code).toBe(3);
  });

  test('refuses what is no model and no input under their codes', async () => {
    const model = await tidemill('audit', 'nosuch');
    expect(model).toMatchObject({ code: 2 });
    expect(model.stderr).toContain('DEFINITION_INVALID');
    const wrong: unknown = await client.audit('fraud', { from: 'x' }).catch((error: unknown) => error);
    expect(wrong).toMatchObject({ code: 'INPUT_INVALID' });
  });
});
