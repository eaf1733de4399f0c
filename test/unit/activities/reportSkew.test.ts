import { createRequire } from 'node:module';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { createAuditActivities, type ActivityDependencies } from '../../../activities/index.js';
import type { AuditResult } from '../../../contracts/consistency.js';
import type { DriftSignal } from '../../../contracts/workflows.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { changeOf, draftOf } from '../../contract/stores/registry/registrySuite.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;
const RANGE = { from: '2024-03-01T00:00:00.000Z', to: '2024-03-02T00:00:00.000Z' };

let folder: string;
let registry: Registry;
let signals: DriftSignal[];
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-report-skew-'));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db') });
  signals = [];
});
afterEach(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

function resultOf(verdict: string): AuditResult {
  return {
    outcome: 'consistent',
    model: 'fraud',
    ...RANGE,
    rows: 10,
    withoutVector: 0,
    vectors: 10,
    differing: 0,
    maxDifference: 0,
    skew: {
      share: 0.5,
      byCause: { inFlight: 5, lateEvent: 0, lateLabel: 0 },
      limit: { atMost: 0.01, verdict, reason: 'half of them' },
    },
    findings: [],
    report: { uri: 'objects://audits/1', sha256: 'a'.repeat(64) },
  };
}

/** An audit of one workflow that found a verdict, and what it reports. */
async function audited(workflowId: string, verdict: string): Promise<number | null> {
  const execution = { workflowId, runId: 'run' };
  await registry.noteConsistency('fraud', `${workflowId} run`, resultOf(verdict));
  const lifecycle = { signalDrift: async (_model: string, drift: DriftSignal) => void signals.push(drift) };
  const activities = createAuditActivities({ registry, lifecycle } as unknown as ActivityDependencies);
  return new MockActivityEnvironment({ workflowExecution: execution }).run(() => activities.reportSkew('fraud', RANGE));
}

async function promote(): Promise<void> {
  const fence = { model: 'fraud', token: (await registry.openRollout('fraud', 'test', 'manual')).token };
  const { version } = await registry.registerVersion(draftOf('fraud', 'a'.repeat(64)), fence);
  await registry.changeDeployment(changeOf(fence, 'commit', 0, { champion: version }));
}

test('skew beyond its limit is told to the lifecycle as drift of the champion since the beginning of the range', async () => {
  await promote();
  expect(await audited('night 1', 'fail')).toBe(1);
  expect(signals).toEqual([
    { source: 'audit', sequence: 1, version: 1, onset: Date.parse(RANGE.from), detectedAt: Date.parse(RANGE.to) },
  ]);
});

test('findings are numbered without gaps, whatever lies between them, and a repeated attempt has its number', async () => {
  await promote();
  for (const [night, verdict] of ['fail', 'pass', 'inconclusive', 'fail'].entries()) {
    if (verdict === 'fail') await audited(`night ${night}`, verdict);
    else await registry.noteConsistency('fraud', `night ${night} run`, resultOf(verdict));
  }
  await audited('night 0', 'fail');
  expect(signals.map(({ sequence }) => sequence)).toEqual([1, 2, 1]);
});

test('where nothing serves there is nobody to tell it of', async () => {
  expect(await audited('night 1', 'fail')).toBeNull();
  expect(signals).toEqual([]);
});
