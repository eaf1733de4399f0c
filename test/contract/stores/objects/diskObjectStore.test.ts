import { existsSync } from 'node:fs';
import { mkdtemp, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { openDiskObjectStore } from '../../../../stores/objects/diskObjectStore.js';
import type { ObjectUpkeep } from '../../../../stores/objects/objectUpkeep.js';

let root: string;
let store: ObjectUpkeep;
beforeAll(async () => {
  root = await mkdtemp(join(tmpdir(), 'tidemill-objects-'));
  store = openDiskObjectStore(join(root, 'objects'));
});
afterAll(() => rm(root, { recursive: true }));

const codeOf = async (act: Promise<unknown>): Promise<string> =>
  act.then(
    () => 'nothing',
    (error: unknown) => (isTidemillError(error) ? error.code : String(error)),
  );

describe('an object store', () => {
  test('gives back what was stored, under an address of its content', async () => {
    const stored = await store.put('models', 'onnx', Buffer.from('hello'));
    expect(stored.uri).toBe(`objects://models/${stored.sha256}.onnx`);
    expect((await store.get(stored.uri, stored.sha256)).toString()).toBe('hello');
    expect(await store.put('models', 'onnx', Buffer.from('hello'))).toEqual(stored);
  });

  test('takes a file in', async () => {
    const file = join(root, 'file');
    await writeFile(file, 'content');
    const stored = await store.putFile('datasets', 'parquet', file);
    expect((await store.get(stored.uri, stored.sha256)).toString()).toBe('content');
  });

  test('refuses bytes that are not what was registered', async () => {
    const stored = await store.put('models', 'onnx', Buffer.from('good'));
    await writeFile(await store.localPath(stored.uri, stored.sha256), 'bad');
    expect(await codeOf(store.get(stored.uri, stored.sha256))).toBe('OBJECT_CORRUPT');
  });

  test('says what is not there, and stays under its root', async () => {
    expect(await codeOf(store.get('objects://models/none.onnx', 'x'))).toBe('OBJECT_NOT_FOUND');
    for (const uri of ['objects://../../etc/passwd', '/etc/passwd', 'file:///etc/passwd', 'objects://']) {
      expect(await codeOf(store.get(uri, 'x'))).toBe('OBJECT_OUTSIDE_ROOT');
    }
  });
});

describe('upkeep of an object store', () => {
  const uris = async (found: Promise<readonly { readonly uri: string }[]>): Promise<string[]> =>
    (await found).map(({ uri }) => uri);

  test('lists a prefix with all that is below it, and nothing else', async () => {
    const first = await store.put('archive/p/one', 'parquet', Buffer.from('1'));
    const second = await store.put('archive/p/two', 'parquet', Buffer.from('22'));
    await store.put('archive/p-two/one', 'parquet', Buffer.from('3'));
    expect((await store.list('archive/p')).map(({ uri, bytes }) => [uri, bytes])).toEqual([
      [first.uri, 1],
      [second.uri, 2],
    ]);
    expect(await store.list('none')).toEqual([]);
    expect(await codeOf(store.list('../..'))).toBe('OBJECT_OUTSIDE_ROOT');
  });

  test('removes an object with the folders that it leaves empty, and no other', async () => {
    const [gone, kept] = [
      await store.put('r/a/b', 'txt', Buffer.from('1')),
      await store.put('r/c', 'txt', Buffer.from('2')),
    ];
    await store.remove(gone.uri);
    expect(await codeOf(store.get(gone.uri, gone.sha256))).toBe('OBJECT_NOT_FOUND');
    expect(existsSync(join(root, 'objects', 'r', 'a'))).toBe(false);
    expect(await uris(store.list('r'))).toEqual([kept.uri]);
    await store.remove(gone.uri);
    expect(await codeOf(store.remove('objects://../registry.db'))).toBe('OBJECT_OUTSIDE_ROOT');
  });

  test('stores while somebody removes what else is in the folder', async () => {
    for (let round = 0; round < 30; round++) {
      const old = await store.put('both', 'txt', Buffer.from(`old ${round}`));
      const [next] = await Promise.all([store.put('both', 'txt', Buffer.from(`new ${round}`)), store.remove(old.uri)]);
      expect((await store.get(next.uri, next.sha256)).toString()).toBe(`new ${round}`);
      await store.remove(next.uri);
    }
  });

  test('an object that lies aside comes back to whoever reads it', async () => {
    for (const read of ['get', 'localPath'] as const) {
      const { uri, sha256 } = await store.put('aside', 'txt', Buffer.from(read));
      await store.setAside(uri);
      expect(await uris(store.list('aside'))).toEqual([]);
      expect(await uris(store.listAside('aside'))).toEqual([uri]);
      await Promise.all(Array.from({ length: 5 }, () => store[read](uri, sha256)));
      expect(await uris(store.list('aside'))).toEqual([uri]);
      expect(await uris(store.listAside('aside'))).toEqual([]);
      await store.setAside(uri);
      await store.deleteAside(uri);
      expect(await codeOf(store.get(uri, sha256))).toBe('OBJECT_NOT_FOUND');
    }
  });

  test('one that was brought back, or stored again, outlives the deletion of what lay aside', async () => {
    const { uri, sha256 } = await store.put('again', 'txt', Buffer.from('again'));
    await store.setAside(uri);
    await store.bringBack(uri);
    await store.deleteAside(uri);
    expect((await store.get(uri, sha256)).toString()).toBe('again');
    await store.setAside(uri);
    await store.put('again', 'txt', Buffer.from('again'));
    await store.deleteAside(uri);
    expect((await store.get(uri, sha256)).toString()).toBe('again');
  });

  test('says since when it lies aside, not how old it is', async () => {
    const { uri, sha256 } = await store.put('old', 'txt', Buffer.from('old'));
    await utimes(await store.localPath(uri, sha256), 1, 1);
    expect((await store.list('old'))[0]?.since).toBe(1_000);
    await store.setAside(uri);
    expect((await store.listAside('old'))[0]?.since).toBeGreaterThan(1_000);
  });

  test('of what is not there does nothing', async () => {
    for (const act of ['setAside', 'bringBack', 'deleteAside'] as const) await store[act]('objects://models/none.onnx');
    expect(await codeOf(store.setAside('objects://../registry.db'))).toBe('OBJECT_OUTSIDE_ROOT');
  });
});
