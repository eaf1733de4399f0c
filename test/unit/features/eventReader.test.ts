import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import { parseEvent } from '../../../features/eventContract.js';
import { EventReader } from '../../../features/eventReader.js';
import type { Value } from '../../../features/types.js';
import { eventStream, t } from '../../../index.js';

const { compiled: stream } = eventStream('readings', {
  schema: {
    id: t.int(),
    at: t.timestamp(),
    sensor: t.string(),
    amount: t.decimal(2),
    level: t.double().nullable(),
    open: t.bool().nullable(),
    note: t.string().nullable(),
  },
  eventId: 'id',
  eventTime: 'at',
  key: 'sensor',
});

/** The values of a record, or why it has none. */
function verdict(read: () => readonly Value[]): unknown {
  try {
    return [...read()];
  } catch (error) {
    if (error instanceof TidemillError) return { code: error.code, message: error.message };
    throw error;
  }
}

const reader = new EventReader(stream);
function both(bytes: Buffer): [fast: unknown, contract: unknown] {
  const fast = verdict(() => {
    reader.read(bytes);
    return reader.values;
  });
  return [fast, verdict(() => parseEvent(stream, bytes).values)];
}

/** JSON texts of values, those that a double does not hold and those that are no JSON among them. */
const numbers = fc.oneof(
  fc.integer().map(String),
  fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  fc.tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat(20)).map(([digits, places]) => {
    const text = String(digits);
    return places === 0 ? text : `${text}.${'0'.repeat(places % 4)}${places}`;
  }),
  fc.constantFrom(
    '0',
    '-0',
    '-0.0',
    '00',
    '01.5',
    '1.',
    '.5',
    '1e3',
    '1E-2',
    '12.340',
    '+1',
    '-',
    '9007199254740992',
    '1.005',
  ),
);
const texts = fc.oneof(
  fc.string().map((text) => JSON.stringify(text)),
  fc.string({ unit: 'binary' }).map((text) => JSON.stringify(text)),
  fc.constantFrom(
    '"a"',
    '""',
    '"a\\u0062"',
    '"\t"',
    '"2026-01-01"',
    '"2026-01-01T00:00:00Z"',
    '"2026-01-01 00:00"',
    '"open',
    'a"',
  ),
);
const values = fc.oneof(
  numbers,
  texts,
  fc.constantFrom('true', 'false', 'null', 'NaN', 'nul', 'truee', '{}', '[1]', ''),
);
const good: Readonly<Record<string, fc.Arbitrary<string>>> = {
  id: fc.integer().map(String),
  at: fc.constantFrom('1767225600000', '"2026-01-01T00:00:00Z"', '-1'),
  sensor: fc.constantFrom('"s-1"', '"é"', '""'),
  amount: fc.tuple(fc.integer({ min: -1e6, max: 1e6 }), fc.nat(99)).map(([whole, cents]) => `${whole}.${cents}`),
  level: fc.double({ noNaN: true, noDefaultInfinity: true }).map(String),
  open: fc.constantFrom('true', 'false', 'null'),
  note: fc.constantFrom('null', '"x"'),
};
const space = fc.constantFrom('', '', '', ' ', '\n', '\t ', '\u00a0');
const members = fc
  .tuple(
    ...Object.entries(good).map(([name, plain]) =>
      fc.tuple(
        fc.constant(name),
        fc.oneof({ weight: 12, arbitrary: plain }, { weight: 1, arbitrary: values }),
        fc.boolean(),
      ),
    ),
  )
  .map((all) => all.filter(([, , isThere], at) => at < 4 || isThere).map(([name, value]) => [name, value] as const));
const unknown = fc.tuple(fc.constantFrom('more', 'id', 'idx', '__proto__', 'constructor', 'a\\"b', 'i\\u0064'), values);

describe('the fast reader of events', () => {
  test('gives the values and the errors of the contract, whatever the bytes are', () => {
    let counted = 0;
    fc.assert(
      fc.property(
        members,
        fc.array(unknown, { maxLength: 2 }),
        space,
        space,
        fc.boolean(),
        fc.nat(),
        (named, more, a, b, shuffle, cut) => {
          const parts = [...named, ...more].map(([name, value]) => `${a}"${name}"${b}:${a}${value}${b}`);
          if (shuffle) parts.reverse();
          const whole = `${a}{${parts.join(',')}}${b}`;
          for (const text of [whole, whole.slice(0, cut % (whole.length + 1)), `${whole},`, `${whole}${whole}`]) {
            const [fast, contract] = both(Buffer.from(text));
            expect(fast).toEqual(contract);
            if (Array.isArray(contract)) counted++;
          }
        },
      ),
      { numRuns: 5_000, seed: 7 },
    );
    // Texts that are all broken would prove nothing.
    expect(counted).toBeGreaterThan(1_000);
  });

  test('gives one verdict with the contract on any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 40 }), (bytes) => {
        const [fast, contract] = both(Buffer.concat([Buffer.from('{"id":'), bytes]));
        expect(fast).toEqual(contract);
      }),
      { numRuns: 2_000, seed: 3 },
    );
  });

  test('leaves nothing of the event before', () => {
    const first = { id: 1, at: 5, sensor: 'a', amount: 1.25, level: 2, open: true, note: 'n' };
    reader.read(Buffer.from(JSON.stringify(first)));
    expect(reader.values).toEqual([1, 5, 'a', 125, 2, true, 'n']);
    reader.read(Buffer.from('{"id":2,"at":6,"sensor":"b","amount":3}'));
    expect(reader.values).toEqual([2, 6, 'b', 300, null, null, null]);
  });

  test('knows absent fields that every object inherits as the contract does', () => {
    const { compiled } = eventStream('odd', {
      schema: { id: t.int(), at: t.timestamp(), constructor: t.int().nullable() },
      eventId: 'id',
      eventTime: 'at',
      key: 'id',
    });
    const odd = new EventReader(compiled);
    const bytes = Buffer.from('{"id":1,"at":2}');
    const fast = verdict(() => {
      odd.read(bytes);
      return odd.values;
    });
    expect(fast).toEqual(verdict(() => parseEvent(compiled, bytes).values));
  });

  test('builds no text that nobody needs', () => {
    const narrow = new EventReader(stream, new Set([0, 1]));
    narrow.read(Buffer.from('{"id":1,"at":2,"sensor":"a","amount":1,"note":"n"}'));
    expect(narrow.values).toEqual([1, 2, '', 100, null, null, '']);
  });
});
