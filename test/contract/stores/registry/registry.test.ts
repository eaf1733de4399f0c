import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { brokenAuditRow } from '../../../../stores/registry/audit.js';
import type { Fence, Registry, VersionDraft } from '../../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../../stores/registry/sqliteRegistry.js';

const code = async (act: Promise<unknown>): Promise<string> =>
  act.then(
    () => 'nothing',
    (error: unknown) => (isTidemillError(error) ? error.code : String(error)),
  );

function draft(sha256: string): VersionDraft {
  return {
    model: 'fraud',
    artifact: { uri: `objects://models/${sha256}.onnx`, sha256, bytes: 1 },
    service: 's',
    columns: ['a'],
    dataset: { uri: 'd', sha256: 'd' },
    trainer: 'xgboost',
    hyperparameters: {},
    codeVersion: '1',
    workflow: null,
    trigger: 'first',
    metrics: {},
    lineage: {},
  };
}

const single = (champion: number | null, prepare: number | null = null) =>
  ({ mode: 'single', champion, challenger: null, share: 0, salt: '', prepare }) as const;

describe.each([['sqlite', openSqliteRegistry]])('a registry (%s)', (_name, open) => {
  let folder: string;
  let now: number;
  let registry: Registry;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tidemill-registry-'));
    now = 1_000;
    registry = await open({ file: join(folder, 'registry.db'), clock: () => now });
  });
  afterEach(async () => {
    await registry.close();
    await rm(folder, { recursive: true });
  });
  const fence = async (holder = 'w1'): Promise<Fence> => ({
    model: 'fraud',
    token: (await registry.openRollout('fraud', holder, 'manual')).token,
  });
  const change = (
    held: Fence,
    step: string,
    expectEpoch: number,
    champion: number | null,
    prepare: number | null = null,
  ) =>
    registry.changeDeployment({
      fence: held,
      step,
      expectEpoch,
      next: single(champion, prepare),
      actor: 'test',
      reason: step,
      evidence: null,
    });

  test('numbers versions, and registers the same artifact of a rollout once', async () => {
    const held = await fence();
    const first = await registry.registerVersion(draft('a'), held);
    expect(await registry.registerVersion(draft('a'), held)).toEqual(first);
    expect((await registry.registerVersion(draft('b'), held)).version).toBe(2);
    expect((await registry.versions('fraud')).map(({ version }) => version)).toEqual([1, 2]);
  });

  test('moves the deployment by compare-and-set, with audit and outbox, and repeats a step without effect', async () => {
    const held = await fence();
    await registry.registerVersion(draft('a'), held);
    const prepared = await change(held, 'prepare', 0, null, 1);
    expect(prepared).toMatchObject({ epoch: 1, prepare: 1 });
    expect(await change(held, 'prepare', 0, null, 1)).toEqual(prepared);
    expect(await code(change(held, 'commit', 0, 1))).toBe('EPOCH_STALE');
    await change(held, 'commit', 1, 1);
    expect((await registry.pendingOutbox(10)).map(({ deployment }) => deployment.epoch)).toEqual([1, 2]);
    await registry.markPublished((await registry.pendingOutbox(1)).map(({ id }) => id));
    expect((await registry.pendingOutbox(10)).map(({ deployment }) => deployment.epoch)).toEqual([2]);
    expect(brokenAuditRow(await registry.auditRows('fraud'))).toBeNull();
  });

  test('fences every older token, and one that is closed', async () => {
    const old = await fence('w1');
    const held = await fence('w2');
    expect(held.token).toBe(old.token + 1);
    for (const act of [
      registry.registerVersion(draft('a'), old),
      registry.setPhase(old, 'x'),
      registry.journalIntent(old, 's', {}),
    ]) {
      expect(await code(act)).toBe('FENCED');
    }
    await registry.closeRollout(held, 'done');
    expect(await code(registry.setPhase(held, 'x'))).toBe('FENCED');
  });

  test('gives a holder that asks again the rollout that it has', async () => {
    expect((await fence('w1')).token).toBe((await fence('w1')).token);
  });

  test('keeps the journal of a rollout: intents and results once', async () => {
    const held = await fence();
    await registry.journalIntent(held, 'dataset', { a: 1 });
    await registry.journalIntent(held, 'dataset', { a: 2 });
    now = 2_000;
    await registry.journalResult(held, 'dataset', { rows: 5 });
    await registry.journalResult(held, 'dataset', { rows: 6 });
    expect(await registry.journal('fraud', held.token)).toEqual([
      { step: 'dataset', intent: { a: 1 }, result: { rows: 5 }, startedAt: 1_000, finishedAt: 2_000 },
    ]);
  });

  test('does not let a withdrawn artifact come back, nor the champion be withdrawn', async () => {
    const held = await fence();
    await registry.registerVersion(draft('a'), held);
    await registry.registerVersion(draft('b'), held);
    await change(held, 'commit', 0, 1);
    expect(await code(registry.withdrawVersion('fraud', 1, 'bad', held))).toBe('VERSION_IN_USE');
    await registry.withdrawVersion('fraud', 2, 'bad', held);
    expect(await code(change(held, 'again', 1, 2))).toBe('VERSION_WITHDRAWN');
    const next = await fence('w2');
    expect(await code(registry.registerVersion(draft('b'), next))).toBe('VERSION_WITHDRAWN');
  });

  test('knows who is alive by leases', async () => {
    const state = {
      instance: 'i1',
      kind: 'stream',
      models: ['fraud'],
      readyEpoch: 1,
      activeEpoch: 1,
      breaker: 'closed',
      problem: null,
    } as const;
    await registry.renewInstance(state, 10_000);
    expect(await registry.liveInstances('fraud')).toEqual([{ ...state, expiresAt: 11_000 }]);
    now = 11_000;
    expect(await registry.liveInstances('fraud')).toEqual([]);
    expect(await registry.sweepInstances()).toBe(1);
  });

  test('keeps the greatest watermark, and issues generations', async () => {
    await registry.advanceWatermark('transactions', 5);
    await registry.advanceWatermark('transactions', 3);
    expect(await registry.watermark('transactions')).toBe(5);
    expect([
      await registry.generation('score.fraud'),
      await registry.issueGeneration('score.fraud'),
      await registry.generation('score.fraud'),
    ]).toEqual([1, 2, 2]);
  });

  test('shared by two processes lets one of two changes win', async () => {
    const other = await open({ file: join(folder, 'registry.db'), clock: () => now });
    const held = await fence();
    await registry.registerVersion(draft('a'), held);
    const results = await Promise.all(
      [registry, other].map((each, at) =>
        code(
          each.changeDeployment({
            fence: held,
            step: `commit${at}`,
            expectEpoch: 0,
            next: single(1),
            actor: 'test',
            reason: '',
            evidence: null,
          }),
        ),
      ),
    );
    expect(results.sort()).toEqual(['EPOCH_STALE', 'nothing']);
    await other.close();
  });

  test('whose audit was tampered with shows where', async () => {
    const held = await fence();
    await registry.registerVersion(draft('a'), held);
    await change(held, 'commit', 0, 1);
    const rows = await registry.auditRows('fraud');
    expect(rows.length).toBe(3);
    expect(brokenAuditRow(rows.map((row) => (row.sequence === 2 ? { ...row, reason: 'nicer' } : row)))).toBe(2);
    expect(brokenAuditRow(rows.filter(({ sequence }) => sequence !== 2))).toBe(3);
  });
});
