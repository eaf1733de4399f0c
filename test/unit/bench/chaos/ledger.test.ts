import { beforeEach, describe, expect, test } from 'vitest';
import { Ledger, type Verdict } from '../../../../bench/chaos/streams/ledger.js';
import { returnRisk } from '../../../../bench/chaos/streams/project.js';
import { interpretService } from '../../../../features/interpreter.js';
import { parseEvent } from '../../../../features/eventContract.js';
import type { LoggedEvent } from '../../../../features/types.js';
import {
  cutsTopic,
  deadLetterTopic,
  duplicatesTopic,
  lateTopic,
  predictionsTopic,
  streamTopic,
} from '../../../../contracts/topics.js';
import type { LogRecord } from '../../../../stores/log/log.js';

const project = 'p';
const model = returnRisk.compiled;
const requests = streamTopic(project, 'orders');
const returns = streamTopic(project, 'returns');
const START = Date.parse('2026-01-01T00:00:00Z');
const MINUTE = 60_000;

/** Two records of a place and time; offsets of each topic count up from 0 in the one partition there is. */
function record(topic: string, offset: number, value: unknown, headers: LogRecord['headers'] = {}): LogRecord {
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return { topic, partition: 0, offset, timestamp: START + 1, key: null, value: Buffer.from(text), headers };
}

const order = (offset: number, minute: number, id = offset): LogRecord =>
  record(requests, offset, { id, at: START + minute * MINUTE, account: 1, shop: 2, amount: 10 + id });

/** Of the orders so far, all of one account: what was seen at the last one, by the interpreter. */
function served(orders: readonly LogRecord[], folded: number, returned: readonly LogRecord[] = []): (number | null)[] {
  const eventsOf = (records: readonly LogRecord[], stream: typeof model.request): LoggedEvent[] =>
    records.map((each) => ({ ...parseEvent(stream, each.value), partition: 0, offset: each.offset }));
  const own = eventsOf(orders, model.request);
  const others = eventsOf(returned.slice(0, folded), model.label.stream);
  const { vector } = interpretService(model.service, own.at(-1) as LoggedEvent, (view) =>
    view.stream.name === model.request.name ? own : others,
  );
  return [...vector].map((value) => (Number.isNaN(value) ? null : value));
}

const prediction = (offset: number, vector: readonly (number | null)[], cut = 'shop-0-0'): LogRecord =>
  record(predictionsTopic(project, model.name), offset, {
    id: offset,
    at: START,
    service: model.service.hash,
    vector,
    source: { topic: requests, partition: 0, offset },
    cut,
  });
const aside = (topic: string, offset: number, of = requests): LogRecord =>
  record(topic, 0, { source: { topic: of, partition: 0, offset } });
const deadLetter = (offset: number, of = requests): LogRecord =>
  record(deadLetterTopic(project), 0, '', {
    'original-topic': of,
    'original-partition': '0',
    'original-offset': String(offset),
  });

describe('the ledger', () => {
  let ledger: Ledger;
  beforeEach(() => {
    ledger = new Ledger(project, model, new Map());
    take(record(cutsTopic(project, model.name), 0, { id: 'shop-0-0', folded: { [returns]: { 0: 1 } } }));
  });
  const take = (...records: readonly LogRecord[]): void => {
    for (const each of records) ledger.read(each.topic, [each]);
  };
  const counts = async (): Promise<Pick<Verdict, 'records' | 'lost' | 'repeated' | 'wrong'>> => {
    const { records, lost, repeated, wrong } = await ledger.close();
    return { records, lost, repeated, wrong };
  };

  const orders = [order(0, 10), order(1, 11), order(1, 11, 1), order(3, 5), record(requests, 4, '{"id"')];
  // A repetition of offset 1 at offset 2, an order too late, one that cannot be read.
  const inLog = orders.map((each, offset) => ({ ...each, offset }));
  const answers = [
    prediction(0, served(inLog.slice(0, 1), 0)),
    prediction(1, served(inLog.slice(0, 2), 0)),
    aside(duplicatesTopic(project), 2),
    aside(lateTopic(project), 3),
    deadLetter(4),
  ];

  test('finds nothing where every record ended once and every vector is right', async () => {
    take(...inLog, ...answers);
    expect(ledger.waiting).toBe(0);
    expect(await ledger.close()).toEqual({ records: 5, lost: 0, repeated: 0, wrong: 0, vectors: 2, findings: [] });
  });

  test('does not mind answers that are read before their records', async () => {
    take(...answers, ...inLog);
    expect(await counts()).toEqual({ records: 5, lost: 0, repeated: 0, wrong: 0 });
  });

  test.each(answers.map((_, at) => at))('finds a lost record, whatever was to become of it: %i', async (missing) => {
    take(...inLog, ...answers.filter((_, at) => at !== missing));
    expect(ledger.waiting).toBe(1);
    const { lost, repeated, wrong, findings } = await ledger.close();
    expect({ lost, repeated, wrong }).toEqual({ lost: 1, repeated: 0, wrong: 0 });
    expect(findings).toEqual([expect.stringContaining(`${requests}/0/${missing} `)]);
  });

  test.each(answers.map((_, at) => at))('finds a repeated answer, whatever it was: %i', async (again) => {
    take(...inLog, ...answers, answers[again] as LogRecord);
    expect(await counts()).toEqual({ records: 5, lost: 0, repeated: 1, wrong: 0 });
  });

  test('finds an answer that comes once more after its slice was closed', async () => {
    take(...inLog, ...answers);
    await ledger.close();
    take(answers[0] as LogRecord);
    expect(await counts()).toEqual({ records: 0, lost: 0, repeated: 1, wrong: 0 });
  });

  test('finds a record that ended as something else', async () => {
    take(...inLog, ...answers.slice(0, 3), aside(duplicatesTopic(project), 3), ...answers.slice(4));
    expect(await counts()).toEqual({ records: 5, lost: 0, repeated: 0, wrong: 1 });
  });

  test('finds a vector that is not the interpreter’s within its cut, once however many columns are wrong', async () => {
    const wrong = served(inLog.slice(0, 2), 0).map((value) => (value === null ? 1 : value + 1));
    take(...inLog, answers[0] as LogRecord, prediction(1, wrong), ...answers.slice(2));
    expect(await counts()).toEqual({ records: 5, lost: 0, repeated: 0, wrong: 1 });
  });

  test('finds a vector that saw more of the second stream than its cut says', async () => {
    const label = record(returns, 0, { id: 7, at: START + 9 * MINUTE, shop: 2, returned: true });
    const beyond = served(inLog.slice(0, 1), 1, [label]);
    const blind = record(cutsTopic(project, model.name), 1, { id: 'shop-0-1', folded: { [returns]: { 0: 0 } } });
    take(label, blind, inLog[0] as LogRecord, prediction(0, beyond, 'shop-0-1'));
    expect(await counts()).toEqual({ records: 2, lost: 0, repeated: 0, wrong: 1 });
    ledger = new Ledger(project, model, new Map());
    take(record(cutsTopic(project, model.name), 0, { id: 'shop-0-0', folded: { [returns]: { 0: 1 } } }));
    take(label, inLog[0] as LogRecord, prediction(0, beyond));
    expect(await counts()).toEqual({ records: 2, lost: 0, repeated: 0, wrong: 0 });
  });

  test('finds a vector without its cut', async () => {
    take(inLog[0] as LogRecord, prediction(0, served(inLog.slice(0, 1), 0), 'shop-0-9'));
    expect(await counts()).toEqual({ records: 1, lost: 0, repeated: 0, wrong: 1 });
  });

  test('finds an answer to nothing', async () => {
    take(...inLog, ...answers, aside(lateTopic(project), 99));
    expect(await counts()).toEqual({ records: 5, lost: 0, repeated: 0, wrong: 1 });
  });

  test('finds an answer to a record that was history', async () => {
    ledger = new Ledger(project, model, new Map([[requests, new Map([[0, 1]])]]));
    take(...inLog.slice(0, 1), aside(lateTopic(project), 0));
    expect(await counts()).toEqual({ records: 0, lost: 0, repeated: 0, wrong: 1 });
  });

  test('wants nothing about an event that only feeds windows, and finds what is said of it', async () => {
    const label = record(returns, 0, { id: 7, at: START, shop: 2, returned: true });
    take(label);
    expect(ledger.waiting).toBe(0);
    take(aside(lateTopic(project), 0, returns));
    expect(await counts()).toEqual({ records: 1, lost: 0, repeated: 0, wrong: 1 });
  });

  test('finds a broken event of the second stream that is set aside nowhere', async () => {
    take(record(returns, 0, '{}'));
    expect(await counts()).toEqual({ records: 1, lost: 1, repeated: 0, wrong: 0 });
  });
});
