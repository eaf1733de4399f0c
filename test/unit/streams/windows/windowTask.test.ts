import { describe, expect, test } from 'vitest';
import type { CompiledWindows } from '../../../../features/compiledWindows.js';
import { count, distinctCount, eventStream, first, last, max, mean, min, sum, t, windowed } from '../../../../index.js';
import type { LogRecord } from '../../../../stores/log/log.js';
import { windowTopology } from '../../../../streams/topologies/windows/windowTopology.js';
import { randomNumbers } from '../../../support/payments.js';
import { driveTask } from '../../../support/taskDriver.js';
import { expectedWindows, latestResults, lineOf, valuesOf, type WindowText } from '../../../support/windowOracle.js';

const MINUTE = 60_000;
const START = Date.parse('2026-01-01T00:00:00Z');
const readings = eventStream('readings', {
  schema: {
    id: t.int(),
    at: t.timestamp(),
    sensor: t.string(),
    amount: t.decimal(2),
    level: t.double().nullable(),
    open: t.bool(),
    note: t.string().nullable(),
  },
  eventId: 'id',
  eventTime: 'at',
  key: 'sensor',
  allowedLateness: '2m',
});

const by = windowed('w', readings).by('sensor');
const SHAPES = {
  tumbling: by.tumbling('1m'),
  hopping: by.hopping('3m', { every: '1m' }),
  'hopping unevenly': by.hopping('150s', { every: '1m' }),
  session: by.session({ gap: '40s' }),
};
type Shape = keyof typeof SHAPES;
const draft = (shape: Shape) =>
  SHAPES[shape].aggregate(({ amount, level, open, note, at }) => ({
    count: count(),
    noted: count(note),
    total: sum(amount),
    opened: sum(open),
    share: mean(open),
    average: mean(amount),
    least: min(level),
    greatest: max(amount),
    newest: max(at),
    'first-note': first(note),
    'last-amount': last(amount),
    notes: distinctCount(note),
    large: sum(amount.mul(2)).where(amount.gt(50)),
  }));

/** Readings of few sensors out of order, repeated, long out of date and broken. */
function records(seed: number, length: number): LogRecord[] {
  const random = randomNumbers(seed);
  const below = (bound: number): number => Math.floor(random() * bound);
  const texts: string[] = [];
  for (let id = 0; id < length; id++) {
    const now = START + id * 5_000;
    const what = random();
    const behind = what < 0.1 ? below(8 * MINUTE) : what < 0.5 ? below(2 * MINUTE) : 0;
    const reading = {
      id,
      at: now - behind,
      sensor: `s-${below(4)}`,
      amount: below(10_000) / 100,
      level: random() < 0.2 ? null : random() * 10,
      open: random() < 0.5,
      note: random() < 0.3 ? null : `n${below(3)}`,
    };
    const text = JSON.stringify(reading);
    texts.push(text);
    if (what > 0.95) texts.push(text);
    else if (what > 0.93) texts.push(text.slice(3));
  }
  return texts.map((text, offset) => ({
    topic: 'p.readings',
    partition: 0,
    offset,
    timestamp: START + 365 * 86_400_000,
    key: null,
    value: Buffer.from(text),
    headers: {},
  }));
}

async function drive(
  windows: CompiledWindows,
  input: readonly LogRecord[],
  crashes?: ReadonlySet<number>,
  setsAside = true,
) {
  const topology = windowTopology({ project: 'p', windows, generation: 1, partitions: 1, setsAside });
  const { outputs, deadLetters } = await driveTask({
    create: () => topology.createTask('window-0', [{ topic: 'p.readings', partition: 0 }]),
    records: input,
    commitEvery: 7,
    snapshotEvery: 3,
    ...(crashes === undefined ? {} : { crashes }),
  });
  const of = (topic: string) =>
    outputs.filter((each) => each.topic === topic).map(({ value }) => JSON.parse(String(value)) as WindowText);
  const offsets = (topic: string) => of(topic).map(({ source }) => (source as { offset: number }).offset);
  return { results: of('p.out'), late: offsets('p.late'), duplicates: offsets('p.duplicates'), deadLetters };
}

const expectedLines = (
  windows: CompiledWindows,
  input: readonly LogRecord[],
  isTold: (end: number, watermark: number) => boolean,
) => {
  const { windows: all, watermark } = expectedWindows(windows, input);
  return all
    .filter(({ end }) => isTold(end, watermark))
    .map((each) => lineOf(each, each.values))
    .sort();
};
const closed = (end: number, watermark: number): boolean => end <= watermark;
const lines = (results: readonly WindowText[]): string[] => results.map((each) => lineOf(each, valuesOf(each))).sort();
const shapes = Object.keys(SHAPES) as Shape[];

describe.each(shapes)('%s windows told on close', (shape) => {
  test.each([1, 2, 3, 4])('are those of a batch over all events in time, once each (seed %i)', async (seed) => {
    const windows = draft(shape).emit('onClose').to('out').compiled;
    const input = records(seed, 600);
    const { results, late, duplicates, deadLetters } = await drive(windows, input);
    expect(lines(results)).toEqual(expectedLines(windows, input, closed));
    expect(results.every(({ revision }) => revision === 0)).toBe(true);
    expect(results.length).toBeGreaterThan(70);
    // Every record that does not count ended as it had to.
    const { outcomes } = expectedWindows(windows, input);
    const ended = (outcome: string): number[] => outcomes.flatMap((each, at) => (each === outcome ? [at] : []));
    expect({ late, duplicates, deadLetters }).toEqual({
      late: ended('late'),
      duplicates: ended('duplicate'),
      deadLetters: ended('deadLetter'),
    });
    for (const each of [late, duplicates, deadLetters]) expect(each.length).toBeGreaterThan(0);
  });

  test('does not depend on crashes: what is told is the same', async () => {
    const windows = draft(shape).to('out').compiled;
    const input = records(5, 500);
    const random = randomNumbers(11);
    const crashes = new Set(Array.from({ length: 30 }, () => Math.floor(random() * input.length)));
    const whole = await drive(windows, input);
    const { results, ...rest } = await drive(windows, input, crashes);
    expect(lines(results)).toEqual(lines(whole.results));
    expect(rest).toEqual({ late: whole.late, duplicates: whole.duplicates, deadLetters: whole.deadLetters });
  });

  test('told again where late events count: the last revision is what a batch says', async () => {
    const windows = draft(shape).late({ update: '3m' }).to('out').compiled;
    const input = records(6, 600);
    const random = randomNumbers(12);
    const crashes = new Set(Array.from({ length: 30 }, () => Math.floor(random() * input.length)));
    for (const each of [undefined, crashes]) {
      const { results, late } = await drive(windows, input, each);
      const { latest, problems } = latestResults(results);
      expect(problems).toEqual([]);
      const { watermark, windows: all, outcomes } = expectedWindows(windows, input);
      // A session that a late event opened again has not been told anew yet.
      const isOpen = new Set(
        all.filter(({ end }) => end > watermark).map(({ key, start }) => `${String(key)} ${start}`),
      );
      const settled = latest.filter(({ key, start }) => !isOpen.has(`${key} ${start}`));
      expect(lines(settled)).toEqual(expectedLines(windows, input, closed));
      expect(results.some(({ revision }) => revision > 0)).toBe(true);
      expect(late.length).toBe(outcomes.filter((outcome) => outcome === 'late').length);
    }
  });
});

describe.each(shapes)('%s windows told on update', (shape) => {
  test('end, revision by revision, as what a batch over all events says', async () => {
    const windows = draft(shape).emit('onUpdate').to('out').compiled;
    const input = records(7, 500);
    const random = randomNumbers(13);
    const crashes = new Set(Array.from({ length: 30 }, () => Math.floor(random() * input.length)));
    for (const each of [undefined, crashes]) {
      const { results } = await drive(windows, input, each);
      const { latest, problems } = latestResults(results);
      expect(problems).toEqual([]);
      expect(lines(latest)).toEqual(expectedLines(windows, input, () => true));
    }
  });
});

describe('windows', () => {
  test('count a repeated record again where the author says so', async () => {
    const windows = draft('tumbling').duplicates('count').to('out').compiled;
    const input = records(8, 300);
    const { results, duplicates } = await drive(windows, input);
    expect(duplicates).toEqual([]);
    expect(lines(results)).toEqual(expectedLines(windows, input, closed));
  });

  test('pass over what another topology sets aside', async () => {
    const windows = draft('tumbling').to('out').compiled;
    const input = records(9, 300);
    const { results, late, duplicates, deadLetters } = await drive(windows, input, undefined, false);
    expect([late, duplicates, deadLetters]).toEqual([[], [], []]);
    expect(lines(results)).toEqual(expectedLines(windows, input, closed));
  });

  test('add up exactly beyond 2^53, in any order', async () => {
    const large = eventStream('readings', {
      schema: { id: t.int(), at: t.timestamp(), sensor: t.int(), amount: t.int() },
      eventId: 'id',
      eventTime: 'at',
      key: 'sensor',
    });
    const windows = windowed('w', large)
      .by('sensor')
      .session({ gap: '1m' })
      .aggregate(({ amount }) => ({ total: sum(amount) }))
      .to('out').compiled;
    const greatest = Number.MAX_SAFE_INTEGER;
    const amounts = [greatest, greatest, greatest, -greatest, -greatest, -greatest, 7];
    const text = (id: number, at: number, amount: number): string => JSON.stringify({ id, at, sensor: 1, amount });
    const input = [...amounts.map((amount, id) => text(id, id, amount)), text(9, 10 * MINUTE, 0)].map(
      (value, offset) => ({
        topic: 'p.readings',
        partition: 0,
        offset,
        timestamp: START,
        key: null,
        value: Buffer.from(value),
        headers: {},
      }),
    );
    const { results } = await drive(windows, input);
    expect(results).toEqual([{ key: 1, start: 0, end: MINUTE + 6, revision: 0, total: 7 }]);
  });
});
