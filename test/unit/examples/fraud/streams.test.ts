import { afterEach, beforeEach, expect, test } from 'vitest';
import { events, exploreInterleavings, testStreams, type StreamTestDriver } from 'tidemill/testing';
import { fraud, labels, project, terminalRisk, transactions } from '../../../../examples/fraud/project.js';

/** Stands in for a trained model: dear payments look like fraud. */
const models = { fraud: ({ amount }: { readonly amount?: number | null }) => ((amount ?? 0) > 1_000 ? 0.95 : 0.2) };

let driver: StreamTestDriver;
beforeEach(async () => {
  driver = await testStreams(project, { models, topologies: ['score', 'outcome'] });
});
afterEach(() => driver.close());

test('a payment is scored on what its customer spent and what its terminal was labelled', async () => {
  await driver.stream(transactions).send([
    { id: 1, at: '2026-03-01T10:00:00Z', customer: 7, terminal: 3, amount: 20 },
    { id: 2, at: '2026-03-01T12:00:00Z', customer: 7, terminal: 4, amount: 40 },
  ]);
  await driver.stream(labels).send({ id: 1, at: '2026-03-08T10:00:00Z', customer: 7, terminal: 3, fraud: true });
  const [sent] = await driver
    .stream(transactions)
    .send({ id: 3, at: '2026-03-08T11:00:00Z', customer: 7, terminal: 3, amount: 2_000 });

  expect(await driver.answerTo(sent)).toMatchObject({
    kind: 'prediction',
    prediction: {
      score: 0.95,
      decision: 'block',
      features: {
        transactions_7d: 2,
        average_amount_7d: 1_020,
        transactions_30d: 3,
        labelled_1d: 1,
        risk_1d: 1,
        weekend: 1,
      },
    },
  });
  expect(await driver.features(terminalRisk, 3, '2026-03-10T00:00:00Z')).toMatchObject({
    labelled_1d: { value: 0, status: 'PRESENT' },
    labelled_7d: { value: 1, status: 'PRESENT' },
  });
  expect(await driver.outcomes(fraud)).toMatchObject([{ id: 1, label: 1, score: 0.2 }]);
});

test('what comes twice, too late or broken is set aside with its reason, and changes nothing', async () => {
  const payments = driver.stream(transactions);
  const payment = { id: 1, at: '2026-03-01T10:00:00Z', customer: 7, terminal: 3, amount: 20 };
  const [first, again, late, broken] = [
    ...(await payments.send(payment)),
    ...(await payments.send(payment)),
    ...(await payments.send({ ...payment, id: 2, at: '2026-03-01T09:49:59Z' })),
    ...(await payments.send({ ...payment, id: 3, amount: 12.345 })),
  ];

  expect(await driver.answerTo(first)).toMatchObject({ kind: 'prediction' });
  expect(await driver.answerTo(again)).toMatchObject({ kind: 'duplicate', record: { firstOffset: first?.offset } });
  expect(await driver.answerTo(late)).toMatchObject({ kind: 'late' });
  expect(await driver.answerTo(broken)).toMatchObject({ kind: 'deadLetter', record: { code: 'EVENT_FIELD_INVALID' } });
  await driver.checkInvariants();
});

test('a crash in the middle of a commit repeats nothing and loses nothing', async () => {
  driver.faults.crashAt('after-outputs', { task: 'terminal-0' });
  driver.faults.failNext('commit', { outcome: 'answerLost' });
  for (let id = 1; id <= 20; id++) {
    const at = Date.parse('2026-03-01') + id * 60_000;
    await driver.stream(transactions).send({ id, at, customer: id % 5, terminal: id % 3, amount: id });
  }

  expect(await driver.predictions(fraud)).toHaveLength(20);
  expect(driver.faults.pending).toEqual([]);
  expect(await driver.checkInvariants()).toMatchObject({ requests: 20, predictions: 20, vectors: 20 });
});

test('whatever the order in which things happen, every promise is kept', async () => {
  const { predictions } = await exploreInterleavings(project, {
    models,
    seeds: 5,
    inputs: (random) => {
      const payments = Array.from({ length: 20 }, (_, id) => ({
        id,
        at: Date.parse('2026-03-01') + id * 60_000,
        customer: random.below(5),
        terminal: random.below(3),
        amount: random.below(300_000) / 100,
      }));
      const known = payments.map(({ amount, ...payment }) => ({ ...payment, fraud: amount > 1_000 }));
      return [events(transactions, payments), events(labels, known)];
    },
  });
  expect(predictions).toBe(100);
});
