import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { openDiskObjectStore } from '../../../../stores/objects/diskObjectStore.js';
import type { ObjectStore } from '../../../../stores/objects/objectStore.js';

let root: string;
let store: ObjectStore;
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
