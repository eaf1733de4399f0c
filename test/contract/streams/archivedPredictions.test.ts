import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import type { OtherScore } from '../../../contracts/records.js';
import { predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import type { LoggedEvent } from '../../../features/types.js';
import { openDuckdbStore } from '../../../stores/offline/duckdbStore.js';
import { archivedTopics, type ArchivedTopic } from '../../../streams/topologies/archive/archivedTopics.js';
import { predictionOf } from '../../support/predictions.js';

test('archived predictions keep the arm, the time and what the other versions said', async () => {
  const model = fraud.compiled;
  const name = predictionsTopic('p', 'fraud');
  const topic = archivedTopics('p', model).find((each) => each.topic === name) as ArchivedTopic;
  const others: OtherScore[] = [
    { version: 1, role: 'champion', score: 0.25, decision: 'allow', micros: 40, problem: null },
  ];
  const prediction = predictionOf({
    role: 'challenger',
    version: 2,
    arm: 'challenger',
    micros: 55,
    others,
    vector: model.service.columns.map((_, at) => (at === 3 ? null : at / 2)),
  });
  const values = topic.row({
    topic: name,
    partition: 0,
    offset: 5,
    timestamp: 1,
    key: null,
    value: Buffer.from(JSON.stringify(prediction)),
    headers: {},
  });
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-archived-'));
  const offline = await openDuckdbStore({ threads: 1 });
  try {
    const file = join(folder, 'predictions.parquet');
    await offline.writeEvents(topic.stream, file, [{ time: 1, id: 5, values: values ?? [], partition: 0, offset: 5 }]);
    const rows: LoggedEvent[] = [];
    for await (const events of offline.readEvents(topic.stream, [file])) rows.push(...events);
    const read = Object.fromEntries(topic.stream.fields.map((field, at) => [field.name, rows[0]?.values[at]]));
    expect(read).toMatchObject({
      id: 1,
      version: 2,
      role: 'challenger',
      arm: 'challenger',
      score: 0.25,
      decision: 'allow',
      micros: 55,
      request_offset: 7,
      column_2: 1,
      column_3: null,
    });
    expect(JSON.parse(String(read['others']))).toEqual(others);
  } finally {
    await offline.close();
    await rm(folder, { recursive: true });
  }
});
