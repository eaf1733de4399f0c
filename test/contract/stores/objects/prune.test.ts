import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { DAY_MS, HOUR_MS } from '../../../../contracts/duration.js';
import type { PruneReport } from '../../../../contracts/pruneReport.js';
import { openDiskObjectStore } from '../../../../stores/objects/diskObjectStore.js';
import type { StoredObject } from '../../../../stores/objects/objectStore.js';
import type { ObjectUpkeep } from '../../../../stores/objects/objectUpkeep.js';
import { neededObjects, pruneObjects } from '../../../../stores/objects/pruneObjects.js';
import type { Fence, Registry } from '../../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../../stores/registry/sqliteRegistry.js';
import { draftOf } from '../registry/registrySuite.js';

const PREFIXES = ['models', 'datasets', 'manifests', 'checkpoints'];

let folder: string;
let objects: ObjectUpkeep;
let registry: Registry;
/** Clock of the registry. */
let now: number;
beforeEach(async () => {
  now = Date.now() - 200 * DAY_MS;
  folder = await mkdtemp(join(tmpdir(), 'tidemill-prune-'));
  objects = openDiskObjectStore(join(folder, 'objects'));
  registry = await openSqliteRegistry({ file: join(folder, 'registry.db'), clock: () => now });
});
afterEach(async () => {
  await registry.close();
  await rm(folder, { recursive: true });
});

/** Stores an object as it was stored `ageMs` ago. */
async function stored(prefix: string, content: string, ageMs = 100 * DAY_MS): Promise<StoredObject> {
  const object = await objects.put(prefix, prefix === 'manifests' ? 'json' : 'bin', Buffer.from(content));
  const at = new Date(Date.now() - ageMs);
  await utimes(await objects.localPath(object.uri, object.sha256), at, at);
  return object;
}

const manifestOf = (data: StoredObject): Promise<StoredObject> => stored('manifests', JSON.stringify(data));

async function prune(
  options: { readonly inMs?: number; readonly apply?: boolean; readonly store?: ObjectUpkeep } = {},
): Promise<PruneReport> {
  const rollouts = await registry.rolloutObjects();
  const open = rollouts.filter(({ isOpen }) => isOpen).map(({ openedAt }) => openedAt);
  return pruneObjects(options.store ?? objects, {
    prefixes: PREFIXES,
    needed: await neededObjects(rollouts, async (uri) => {
      const sha256 = uri.slice(uri.lastIndexOf('/') + 1, -'.json'.length);
      return [(JSON.parse((await objects.get(uri, sha256)).toString()) as StoredObject).uri];
    }),
    openSince: open.length === 0 ? null : Math.min(...open),
    olderThanMs: 90 * DAY_MS,
    graceMs: DAY_MS,
    nowMs: Date.now() + (options.inMs ?? 0),
    apply: options.apply ?? true,
  });
}

const urisOf = (list: readonly { readonly uri: string }[]): string[] => list.map(({ uri }) => uri).sort();
const whyKept = ({ kept }: PruneReport): Record<string, string> =>
  Object.fromEntries(kept.map(({ uri, why }) => [uri, why]));
const isThere = (object: StoredObject): Promise<boolean> =>
  objects.get(object.uri, object.sha256).then(
    () => true,
    () => false,
  );

/** A rollout that journals what it stored and registers a version of it. */
async function registered(
  model: string,
  parts: { readonly evaluation: StoredObject; readonly artifact: StoredObject; readonly manifest: StoredObject },
): Promise<Fence> {
  const fence = await registry.openRollout(model, `retrain/${model}`, 'manual');
  await registry.journalIntent(fence, 'evaluationFit', {});
  await registry.journalResult(fence, 'evaluationFit', { artifact: parts.evaluation });
  const { artifact, manifest: dataset } = parts;
  await registry.registerVersion({ ...draftOf(model, artifact.sha256), artifact, dataset }, fence);
  return fence;
}

describe('pruning', () => {
  test('keeps what it takes to reproduce any version, rejected and withdrawn ones too, and says why', async () => {
    const versions = [];
    for (const status of ['registered', 'rejected', 'withdrawn'] as const) {
      const data = await stored('datasets', `data ${status}`);
      const parts = {
        evaluation: await stored('models', `evaluation ${status}`),
        artifact: await stored('models', `release ${status}`),
        manifest: await manifestOf(data),
      };
      const fence = await registered(status, parts);
      if (status === 'rejected') await registry.rejectVersion(status, 1, 'worse', fence);
      if (status === 'withdrawn') await registry.withdrawVersion(status, 1, 'wrong', fence);
      await registry.closeRollout(fence, 'done');
      versions.push({ status, data, ...parts });
    }
    const report = await prune();
    expect(report.setAside).toEqual([]);
    const why = whyKept(report);
    for (const { status, data, evaluation, artifact, manifest } of versions) {
      const version = `version 1 of ${status} (${status})`;
      expect([artifact, manifest, data, evaluation].map(({ uri }) => why[uri])).toEqual([
        version,
        version,
        `the data of ${version}`,
        `rollout 1 of ${status}, which made version 1`,
      ]);
    }
  });

  test('deletes what nobody needs, a grace time after it was set aside', async () => {
    const lost = [
      await stored('checkpoints', 'after 25 rounds'),
      await stored('datasets', 'of a rollout that ended without a version'),
    ];
    const young = await stored('checkpoints', 'young', 50 * DAY_MS);
    const foreign = await stored('somebody', 'of another prefix');
    const fence = await registry.openRollout('fraud', 'retrain/fraud', 'manual');
    await registry.journalIntent(fence, 'dataset', lost[1]);
    await registry.closeRollout(fence, 'not promoted');

    const plan = await prune({ apply: false });
    expect(urisOf(plan.setAside)).toEqual(urisOf(lost));
    expect(await objects.listAside('checkpoints')).toEqual([]);
    const marked = await prune();
    expect(urisOf(marked.setAside)).toEqual(urisOf(lost));
    expect(whyKept(marked)).toEqual({ [young.uri]: 'younger than 90d' });
    const waiting = await prune({ inMs: DAY_MS - HOUR_MS });
    expect(waiting.deleted).toEqual([]);
    const done = await prune({ inMs: DAY_MS + HOUR_MS });
    expect(urisOf(done.deleted)).toEqual(urisOf(lost));
    for (const object of lost) expect(await isThere(object)).toBe(false);
    for (const object of [young, foreign]) expect(await isThere(object)).toBe(true);
  });

  test('keeps what an open rollout has stored, whether it has named it or not', async () => {
    const before = await stored('models', 'before the rollout', 150 * DAY_MS);
    now = Date.now() - 120 * DAY_MS;
    const fence = await registry.openRollout('fraud', 'retrain/fraud', 'manual');
    const checkpoint = await stored('checkpoints', 'known to a heartbeat alone', 100 * DAY_MS);
    const named = await stored('datasets', 'named', 150 * DAY_MS);
    await registry.journalIntent(fence, 'dataset', named);
    const report = await prune();
    expect(urisOf(report.setAside)).toEqual([before.uri]);
    expect(whyKept(report)).toEqual({
      [checkpoint.uri]: 'stored since a rollout opened that is still open',
      [named.uri]: 'rollout 1 of fraud, which is open',
    });
    // Nor does it delete what was set aside since then.
    expect((await prune({ inMs: 2 * DAY_MS })).deleted).toEqual([]);
    await registry.closeRollout(fence, 'not promoted');
    expect(urisOf((await prune({ inMs: 2 * DAY_MS })).deleted)).toEqual([before.uri]);
  });

  test('sets aside what a writer left unfinished', async () => {
    const { uri } = await stored('models', 'whole', DAY_MS);
    const unfinished = join(folder, 'objects', 'models', `${uri.slice('objects://models/'.length)}.1b9d`);
    await writeFile(unfinished, 'half');
    await utimes(unfinished, 1, 1);
    expect(urisOf((await prune()).setAside)).toEqual([`${uri}.1b9d`]);
    expect(urisOf((await prune({ inMs: 2 * DAY_MS })).deleted)).toEqual([`${uri}.1b9d`]);
  });
});

describe('a rollout that stores what is about to be set aside', () => {
  test('loses nothing: it reads it, registers it, and the next run brings it back', async () => {
    const content = 'the same data gives the same bytes';
    const old = await stored('models', content);
    const data = await stored('datasets', content);
    let fence: Fence | null = null;
    // Between the look at the registry and the move, a rollout opens and stores the same bytes again.
    const racing: ObjectUpkeep = {
      ...objects,
      setAside: async (uri) => {
        fence ??= await registry.openRollout('fraud', 'retrain/fraud', 'manual');
        if (uri === old.uri) await objects.put('models', 'bin', Buffer.from(content));
        else await objects.put('datasets', 'bin', Buffer.from(content));
        await objects.setAside(uri);
      },
    };
    now = Date.now();
    expect(urisOf((await prune({ store: racing })).setAside)).toEqual([data.uri, old.uri].sort());
    // It reads one of both, and only names the other.
    expect(await isThere(data)).toBe(true);
    const holder = fence as Fence | null;
    if (holder === null) throw new Error('the race did not take place');
    const manifest = await objects.put('manifests', 'json', Buffer.from(JSON.stringify(data)));
    await registry.registerVersion({ ...draftOf('fraud', old.sha256), artifact: old, dataset: manifest }, holder);
    await registry.closeRollout(holder, 'promoted');

    const next = await prune({ inMs: 2 * DAY_MS });
    expect(urisOf(next.broughtBack)).toEqual([old.uri]);
    expect(next.deleted).toEqual([]);
    expect(await prune({ inMs: 2 * DAY_MS })).toMatchObject({ setAside: [], broughtBack: [], deleted: [] });
    for (const object of [old, data]) expect(await isThere(object)).toBe(true);
  });

  test('loses nothing while many of both run at the same time', async () => {
    const contents = Array.from({ length: 40 }, (_, at) => `model ${at}`);
    for (const content of contents) await stored('models', content);
    let running = true;
    const pruning = (async () => {
      let runs = 0;
      for (; running; runs++) await prune();
      return runs;
    })();
    const named: StoredObject[] = [];
    for (const [at, content] of contents.entries()) {
      now = Date.now();
      const fence = await registry.openRollout(`m${at}`, `retrain/m${at}`, 'manual');
      const artifact = await objects.put('models', 'bin', Buffer.from(content));
      expect((await objects.get(artifact.uri, artifact.sha256)).toString()).toBe(content);
      const draft = { ...draftOf(`m${at}`, artifact.sha256), artifact };
      await registry.registerVersion(draft, fence);
      await registry.closeRollout(fence, 'promoted');
      named.push(artifact);
    }
    running = false;
    expect(await pruning).toBeGreaterThan(0);
    await prune({ inMs: 2 * DAY_MS });
    await prune({ inMs: 4 * DAY_MS });
    for (const object of named) expect(await isThere(object), object.uri).toBe(true);
  });
});
