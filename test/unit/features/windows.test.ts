import { describe, expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import { fraud, transactions } from '../../../examples/fraud/project.js';
import {
  count,
  defineProject,
  distinctCount,
  eventStream,
  first,
  max,
  mean,
  min,
  sum,
  t,
  windowed,
} from '../../../index.js';
import { setsAside } from '../../../streams/topologies/windows/setsAside.js';

const readings = eventStream('readings', {
  schema: {
    id: t.int(),
    at: t.timestamp(),
    sensor: t.string(),
    site: t.string().nullable(),
    level: t.decimal(1),
    open: t.bool(),
  },
  eventId: 'id',
  eventTime: 'at',
  key: 'sensor',
});
const perSensor = (name = 'per-sensor', to = 'sensor-levels') =>
  windowed(name, readings)
    .by('sensor')
    .tumbling('1m')
    .aggregate(() => ({ readings: count() }))
    .to(to);

function problem(act: () => unknown): string {
  try {
    act();
  } catch (error) {
    if (error instanceof TidemillError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'nothing was thrown';
}

describe('windows as authors write them', () => {
  test('compile to times in milliseconds, fields by index, results with their types', () => {
    const { compiled } = windowed('levels', readings)
      .by('sensor')
      .hopping('5m', { every: '1m' })
      .aggregate(({ level, open, at, site }) => ({
        readings: count(),
        total: sum(level),
        opened: sum(open),
        average: mean(level),
        newest: max(at),
        sites: distinctCount(site),
        site: first(site).where(open),
      }))
      .emit('onUpdate')
      .late({ update: '1h' })
      .duplicates('count')
      .to('sensor-levels');
    expect(compiled).toMatchObject({
      key: 2,
      shape: { kind: 'aligned', lengthMs: 300_000, everyMs: 60_000 },
      emit: 'onUpdate',
      reviseMs: 3_600_000,
      countsDuplicates: true,
      to: 'sensor-levels',
    });
    expect(compiled.aggregates.map(({ name, type }) => [name, type.kind])).toEqual([
      ['readings', 'int'],
      ['total', 'decimal'],
      ['opened', 'int'],
      ['average', 'double'],
      ['newest', 'timestamp'],
      ['sites', 'int'],
      ['site', 'string'],
    ]);
  });

  test('are told on close, without late events and repeats, where nothing else is said', () => {
    expect(perSensor().compiled).toMatchObject({ emit: 'onClose', reviseMs: 0, countsDuplicates: false });
  });

  test('have a hash of all that they mean', () => {
    expect(perSensor().compiled.hash).toBe(perSensor().compiled.hash);
    expect(perSensor('per-sensor', 'other').compiled.hash).not.toBe(perSensor().compiled.hash);
  });

  const by = windowed('w', readings).by('sensor');
  test.each([
    // @ts-expect-error a nullable field is no key
    ['a key that may be null', () => windowed('w', readings).by('level'), /^DEFINITION_INVALID: w\.by/],
    ['a key that is null now and then', () => windowed('w', readings).by('site'), /^DEFINITION_INVALID: w\.by/],
    ['an empty window', () => by.tumbling('0ms'), /^DEFINITION_INVALID: w\.tumbling/],
    ['gaps between windows', () => by.hopping('1m', { every: '2m' }), /leaves out events/],
    ['windows without number', () => by.hopping('1d', { every: '1ms' }), /more than 1000 windows/],
    ['no aggregate', () => by.tumbling('1m').aggregate(() => ({})), /at least one aggregate/],
    ['a name that every result has', () => by.tumbling('1m').aggregate(() => ({ start: count() })), /every result has/],
    // @ts-expect-error a bool has no least value
    ['a least bool', () => by.tumbling('1m').aggregate(({ open }) => ({ least: min(open) })), /bool has no min/],
    [
      'another moment',
      () =>
        by
          .tumbling('1m')
          .aggregate(() => ({ n: count() }))
          // @ts-expect-error there is no such moment
          .emit('now'),
      /neither onClose nor onUpdate/,
    ],
    ['a topic of the project', () => perSensor('w', 'late'), /others write/],
    ['its own source as output', () => perSensor('w', 'readings'), /others write/],
    ['a name that is none', () => windowed('Per Sensor', readings), /^NAME_INVALID/],
  ])('refuse %s', (_, act, message) => {
    expect(problem(act)).toMatch(message);
  });
});

describe('a project with windows', () => {
  test('needs no model, and has the streams that windows read', () => {
    const project = defineProject('plant', { windows: [perSensor()] });
    expect([project.models, project.streams.map(({ name }) => name)]).toEqual([[], ['readings']]);
  });

  test('refuses two windows that write one topic', () => {
    const windows = [perSensor('a'), perSensor('b')];
    expect(problem(() => defineProject('plant', { windows }))).toMatch(/^DEFINITION_INVALID: plant\.a\.to: b writes/);
  });

  test('lets one topology set aside what is wrong with a stream', () => {
    const onRequests = windowed('spend', transactions)
      .by('customer')
      .tumbling('1m')
      .aggregate(() => ({ n: count() }))
      .to('spend');
    const windows = [perSensor('b', 'b'), perSensor('a', 'a'), onRequests];
    const project = defineProject('plant', { models: [fraud], windows });
    expect(project.windows.map((each) => [each.name, setsAside(project, each)])).toEqual([
      ['b', false],
      ['a', true],
      ['spend', false],
    ]);
  });
});
