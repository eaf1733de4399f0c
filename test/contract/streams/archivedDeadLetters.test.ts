import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { deadLetterTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import { archivedTopics, type ArchivedTopic } from '../../../streams/topologies/archive/archivedTopics.js';
import { plainStream } from '../../../streams/topologies/archive/plainStream.js';
import { archivedRecord } from '../../../streams/topologies/archive/rawRows.js';

const name = deadLetterTopic('p');
const topic = archivedTopics('p', fraud.compiled).find((each) => each.topic === name) as ArchivedTopic;

let folder: string;
let offline: OfflineStore;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-dead-letters-'));
  offline = await openDuckdbStore({ threads: 1 });
});
afterEach(async () => {
  await offline.close();
  await rm(folder, { recursive: true });
});

const letter = (offset: number, of: Partial<LogRecord>): LogRecord => {
  return { topic: name, partition: 0, offset, timestamp: 1_000 + offset, key: null, value: null, headers: {}, ...of };
};

const write = async (
  stream: typeof topic.stream,
  first: number,
  rows: readonly (readonly Value[])[],
): Promise<string> => {
  const file = join(folder, `${first}.parquet`);
  const events = rows.map((values, at) => ({ time: 1_000, id: first + at, values, partition: 0, offset: first + at }));
  await offline.writeEvents(stream, file, events);
  return file;
};

async function read(files: readonly string[]): Promise<ReturnType<typeof archivedRecord>[]> {
  const records: ReturnType<typeof archivedRecord>[] = [];
  for await (const events of offline.readEvents(topic.stream, files))
    records.push(...events.map(({ values }) => archivedRecord(values)));
  return records;
}

test('archived dead letters are the bytes that failed, whether they are text or not', async () => {
  const bytes = Buffer.from(Array.from({ length: 256 }, (_, at) => at));
  const letters = [
    letter(0, { key: Buffer.from([0xc3, 0x28]), value: bytes, headers: { code: Buffer.from('EVENT_INVALID') } }),
    letter(1, { value: Buffer.alloc(0), headers: { trace: Buffer.from([0xff, 0x00]) } }),
    letter(2, { key: Buffer.from('é\0'), value: Buffer.from('\ufeff{"id":') }),
    letter(3, { value: Buffer.from([0xed, 0xa0, 0x80]) }),
    letter(4, {}),
  ];
  const file = await write(
    topic.stream,
    0,
    letters.map((each) => topic.row(each) as readonly Value[]),
  );
  const found = await read([file]);
  expect(found).toEqual(letters.map(({ timestamp, key, value, headers }) => ({ timestamp, key, value, headers })));
});

test('files from before bytes were kept are read beside newer ones, by key, too', async () => {
  const before = plainStream(name.replaceAll('.', '-'), topic.stream.fields.slice(0, 4));
  const old = await write(before, 0, [[1_000, 'k', '{"id":', '[["code","EVENT_INVALID"]]']]);
  const value = Buffer.from([0xff]);
  const newer = await write(topic.stream, 1, [
    topic.row(letter(1, { key: Buffer.from('k'), value })) as readonly Value[],
  ]);
  for (const files of [
    [old, newer],
    [newer, old],
  ]) {
    expect(await read(files)).toEqual([
      {
        timestamp: 1_000,
        key: Buffer.from('k'),
        value: Buffer.from('{"id":'),
        headers: { code: Buffer.from('EVENT_INVALID') },
      },
      { timestamp: 1_001, key: Buffer.from('k'), value, headers: {} },
    ]);
    const texts = await offline.archive.textsOf(files, ['k']);
    expect(texts.map(({ text }) => text).sort()).toEqual(['{"id":', '\ufffd']);
  }
});
