import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DuckDBInstance } from '@duckdb/node-api';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { customerSpending, fraud, labels, transactions } from '../../../../examples/fraud/project.js';
import { interpretService } from '../../../../features/interpreter.js';
import type { LoggedEvent, Value } from '../../../../features/types.js';
import { openDuckdbStore } from '../../../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../../../stores/offline/offlineStore.js';
import { payments, START } from '../../../support/payments.js';

let folder: string;
let store: OfflineStore;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'tidemill-offline-'));
  store = await openDuckdbStore();
});
afterAll(async () => {
  await store.close();
  await rm(folder, { recursive: true });
});

const made = payments(5_000, { seed: 4, everyMs: 120_000 });
const requests = made.map(({ id, at, customer, terminal, amount }, offset): LoggedEvent => {
  return { time: at, id, values: [id, at, customer, terminal, Math.round(amount * 100)], partition: 0, offset };
});
const known = made.map(({ id, at, customer, terminal, amount }, offset): LoggedEvent => {
  const time = at + 86_400_000;
  return { time, id, values: [id, time, customer, terminal, amount > 220], partition: 0, offset };
});

describe('the batch store', () => {
  test('computes the shares of a history by themselves: together they are the whole', async () => {
    const events = join(folder, 'shared.parquet');
    await store.writeEvents(transactions.compiled, events, requests);
    const view = customerSpending.compiled;
    const service = {
      ...fraud.compiled.service,
      inputs: [{ kind: 'view' as const, view, requestKey: view.key }],
      columns: view.features.map(({ name, type }, feature) => ({ name, type, input: 0, feature })),
    };
    const rowsOf = async (share?: { of: number; at: number }): Promise<string[]> => {
      const table = await store.computeVectors({
        service,
        files: { transactions: [events] },
        from: START,
        to: START + 30 * 86_400_000,
        entity: view.key,
        output: join(folder, `share-${share?.at ?? 'all'}.parquet`),
        ...(share === undefined ? {} : { share: { field: view.key, ...share } }),
      });
      const { ids, entities, values, columns, rows } = await store.readVectors(table);
      return Array.from({ length: rows }, (_, row) => {
        const vector = [...values.subarray(row * columns.length, (row + 1) * columns.length)];
        return JSON.stringify([ids[row], entities[row], ...vector]);
      });
    };
    const shares = [await rowsOf({ of: 3, at: 0 }), await rowsOf({ of: 3, at: 1 }), await rowsOf({ of: 3, at: 2 })];
    expect(shares.every((share) => share.length > 0)).toBe(true);
    expect(shares.flat().sort()).toEqual((await rowsOf()).sort());
  });

  test('reads events back as they were written', async () => {
    const path = join(folder, 'events.parquet');
    expect(await store.writeEvents(transactions.compiled, path, requests)).toBe(5_000);
    const read: LoggedEvent[] = [];
    for await (const chunk of store.readEvents(transactions.compiled, [path])) read.push(...chunk);
    expect(read).toEqual(requests);
    expect((await readdir(folder)).filter((name) => name.includes('unfinished'))).toEqual([]);
  });

  test('keeps the append time, and reads files that were written before it was kept, alone and beside newer ones', async () => {
    const [before, old, since] = ['before', 'old', 'since'].map((name) => join(folder, `${name}.parquet`)) as [
      string,
      string,
      string,
    ];
    const earlier = requests.slice(0, 10);
    const later = requests.slice(10, 20).map((each) => ({ ...each, appendedAt: each.time + 5 }));
    await store.writeEvents(transactions.compiled, before, earlier);
    await store.writeEvents(transactions.compiled, since, later);
    // A file as earlier versions wrote it: the column is not there.
    const duckdb = await (await DuckDBInstance.create(':memory:')).connect();
    await duckdb.run(`COPY (SELECT * EXCLUDE (__appended_at) FROM '${before}') TO '${old}' (FORMAT parquet)`);
    duckdb.closeSync();
    const read = async (...files: string[]): Promise<LoggedEvent[]> => {
      const events: LoggedEvent[] = [];
      for await (const chunk of store.readEvents(transactions.compiled, files)) events.push(...chunk);
      return events;
    };
    expect(await read(old)).toEqual(earlier);
    expect(await read(since)).toEqual(later);
    for (const files of [
      [old, since],
      [since, old],
    ]) {
      expect(await read(...files)).toEqual([...earlier, ...later]);
      const table = await store.computeVectors({
        service: fraud.compiled.service,
        files: { transactions: files },
        from: START,
        to: START + 86_400_000,
        entity: null,
        output: join(folder, 'mixed.parquet'),
      });
      expect((await store.readVectors(table)).ids).toEqual([...earlier, ...later].map(({ id }) => id));
    }
  });

  test('computes the vectors of the interpreter, one row per request, in order', async () => {
    const [events, outcomes] = [join(folder, 'tx.parquet'), join(folder, 'labels.parquet')];
    // Every event twice: a record is not an event.
    await store.writeEvents(transactions.compiled, events, [
      ...requests,
      ...requests.map((each) => ({ ...each, offset: each.offset + 9_000 })),
    ]);
    await store.writeEvents(labels.compiled, outcomes, known);
    const from = START + 5 * 86_400_000;
    const table = await store.computeVectors({
      service: fraud.compiled.service,
      files: { transactions: [events], 'fraud-labels': [outcomes] },
      from,
      to: from + 86_400_000,
      entity: fraud.compiled.entity,
      output: join(folder, 'vectors.parquet'),
    });
    const matrix = await store.readVectors(table);
    const rows = requests.filter(({ time }) => time >= from && time < from + 86_400_000);
    expect(matrix.ids).toEqual(rows.map(({ id }) => id));
    expect(matrix.entities).toEqual(rows.map(({ values }) => values[fraud.compiled.entity] as Value));
    for (const [at, request] of rows.entries()) {
      const { vector } = interpretService(fraud.compiled.service, request, (view, key) =>
        (view.stream.name === 'transactions' ? requests : known).filter(({ values }) => values[view.key] === key),
      );
      expect(matrix.values.subarray(at * 15, (at + 1) * 15)).toEqual(vector);
    }
  });

  test('joins the newest label that came in time; absence is a negative where the model says so', async () => {
    const [events, outcomes] = [join(folder, 'few.parquet'), join(folder, 'few-labels.parquet')];
    const few = requests.slice(0, 4);
    const [first, second, third] = few.map(({ time }) => time) as [number, number, number];
    const hour = 3_600_000;
    const label = (at: number, time: number, fraudulent: boolean): LoggedEvent => {
      const { id, values } = few[at] as LoggedEvent;
      return {
        time,
        id,
        values: [id, time, values[2] as Value, values[3] as Value, fraudulent],
        partition: 0,
        offset: 0,
      };
    };
    await store.writeEvents(transactions.compiled, events, few);
    await store.writeEvents(labels.compiled, outcomes, [
      label(0, first + hour, true),
      label(0, first + 2 * hour, false),
      label(1, second + 30 * hour, true),
      label(2, third + hour, true),
    ]);
    const vectors = await store.computeVectors({
      service: fraud.compiled.service,
      files: { transactions: [events], 'fraud-labels': [outcomes] },
      from: START,
      to: START + 86_400_000,
      entity: null,
      output: join(folder, 'few-vectors.parquet'),
    });
    const dataset = async (absence: 'missing' | 'negative', labelCutOff: number): Promise<unknown[]> => {
      const rules = { horizonMs: 10 * hour, retentionMs: 20 * hour, absence, censored: [] };
      const table = await store.joinDataset({
        vectors,
        service: fraud.compiled.service,
        labels: { stream: labels.compiled, field: fraud.compiled.label.field, files: [outcomes], ...rules },
        served: [],
        labelCutOff,
        output: join(folder, `few-${absence}-${labelCutOff}.parquet`),
      });
      const { ids, labels: found } = await store.readVectors(table);
      return ids.map((id, at) => [id, found?.[at]]);
    };
    const ids = few.map(({ id }) => id);
    const late = third + 100 * hour;
    expect(await dataset('missing', late)).toEqual([
      [ids[0], 0],
      [ids[2], 1],
    ]);
    expect(await dataset('missing', first + hour)).toEqual([[ids[0], 1]]);
    expect(await dataset('negative', late)).toEqual([
      [ids[0], 0],
      [ids[1], 0],
      [ids[2], 1],
      [ids[3], 0],
    ]);
  });

  test('names a file that is missing', async () => {
    const error: unknown = await store
      .computeVectors({
        service: fraud.compiled.service,
        files: { transactions: [join(folder, 'absent.parquet')] },
        from: 0,
        to: 1,
        entity: null,
        output: join(folder, 'none.parquet'),
      })
      .catch((reason: unknown) => reason);
    expect(isTidemillError(error, 'OFFLINE_FILE_INVALID')).toBe(true);
    expect((error as Error).message).toContain('absent.parquet');
  });
});
