import fc from 'fast-check';

/** Expressions over the fields of a record, as data: a failing case prints as JSON and reads back. */
export type NumberSpec =
  | { readonly kind: 'field'; readonly name: 'n' | 'amount' | 'ratio' }
  | { readonly kind: 'literal'; readonly value: number }
  | {
      readonly kind: 'binary';
      readonly op: 'add' | 'sub' | 'mul' | 'div';
      readonly left: NumberSpec;
      readonly right: NumberSpec;
    }
  | { readonly kind: 'unary'; readonly op: 'negate' | 'abs' | 'toDouble'; readonly of: NumberSpec }
  | { readonly kind: 'if'; readonly condition: BoolSpec; readonly then: NumberSpec; readonly otherwise: NumberSpec }
  | { readonly kind: 'orElse'; readonly of: NumberSpec; readonly otherwise: NumberSpec }
  | {
      readonly kind: 'calendar';
      readonly part: 'hour' | 'minute' | 'dayOfWeek' | 'dayOfMonth' | 'month' | 'year';
      readonly zone: string;
    };

export type BoolSpec =
  | { readonly kind: 'flag' }
  | {
      readonly kind: 'compare';
      readonly op: 'eq' | 'ne' | 'lt' | 'le' | 'gt' | 'ge';
      readonly left: NumberSpec;
      readonly right: NumberSpec;
    }
  | { readonly kind: 'both' | 'either'; readonly left: BoolSpec; readonly right: BoolSpec }
  | { readonly kind: 'not'; readonly of: BoolSpec }
  | { readonly kind: 'isNull'; readonly of: NumberSpec }
  | { readonly kind: 'textIs'; readonly text: string; readonly negated: boolean }
  | { readonly kind: 'flagOrElse'; readonly value: boolean };

export interface AggregateSpec {
  readonly aggregate: 'count' | 'sum' | 'mean';
  /** null: events; 'flag' and 'text': that field. */
  readonly input: NumberSpec | 'flag' | 'text' | null;
  readonly log1p: boolean;
  readonly where: BoolSpec | null;
  /** In units of the case. */
  readonly windows: readonly number[];
  readonly delay: number;
  readonly orElse: number | null;
}

export interface FeatureSpec {
  readonly aggregate: AggregateSpec;
  /** Arithmetic with a number, or with the same aggregate as a count. */
  readonly derived: { readonly op: 'add' | 'sub' | 'mul' | 'div'; readonly by: number | 'count' } | null;
}

export interface ViewSpec {
  readonly from: 'requests' | 'signals';
  readonly key: 'owner' | 'peer';
  readonly include: 'request' | 'past';
  readonly ttl: number | null;
  readonly features: readonly FeatureSpec[];
}

export interface RecordSpec {
  readonly tick: number;
  readonly jitter: number;
  /** Index into the ids of the case. */
  readonly id: number;
  readonly owner: number;
  readonly peer: number | null;
  readonly n: number | null;
  /** Hundredths. */
  readonly amount: number | null;
  readonly ratio: number | null;
  readonly flag: boolean | null;
  readonly text: string | null;
  readonly partition: number;
}

/** One random project with two random logs. Arrival order is the order of the arrays. */
export interface FuzzCase {
  readonly textIds: boolean;
  readonly textKeys: boolean;
  readonly unitMs: number;
  readonly baseMs: number;
  readonly views: readonly ViewSpec[];
  readonly request: readonly (NumberSpec | BoolSpec)[];
  readonly requests: readonly RecordSpec[];
  readonly signals: readonly RecordSpec[];
  /** How far the watermark of the streaming run lies behind the newest event, in units. */
  readonly lateness: number;
  /** Share of records after which the streaming run encodes and restores its state. */
  readonly restoreEvery: number;
  readonly allowDirect: boolean;
  /** Tick from which requests are rows of the batch run. */
  readonly fromTick: number;
}

/** UTF-8 order and UTF-16 order differ between the last two. */
export const TEXT_IDS = ['a', 'b', "it's", 'é', '', '\uffff', '\u{10000}'];
const TEXTS = ['x', 'y', "o'clock", ''];
const ZONES = ['UTC', 'Europe/Berlin', 'America/New_York', 'Asia/Kolkata'];
const EXTREME = Number.MAX_SAFE_INTEGER;

const { number, bool } = fc.letrec<{ number: NumberSpec; bool: BoolSpec }>((tie) => ({
  number: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'expression' },
    fc.record({
      kind: fc.constant('field' as const),
      name: fc.constantFrom('n' as const, 'amount' as const, 'ratio' as const),
    }),
    fc.record({
      kind: fc.constant('literal' as const),
      value: fc.constantFrom(0, 1, -1, 2, 10, 0.5, 2.25, 0.001, 1e12, EXTREME),
    }),
    fc.record({
      kind: fc.constant('calendar' as const),
      part: fc.constantFrom(
        'hour' as const,
        'minute' as const,
        'dayOfWeek' as const,
        'dayOfMonth' as const,
        'month' as const,
        'year' as const,
      ),
      zone: fc.constantFrom(...ZONES),
    }),
    fc.record({
      kind: fc.constant('binary' as const),
      op: fc.constantFrom('add' as const, 'sub' as const, 'mul' as const, 'div' as const),
      left: tie('number'),
      right: tie('number'),
    }),
    fc.record({
      kind: fc.constant('unary' as const),
      op: fc.constantFrom('negate' as const, 'abs' as const, 'toDouble' as const),
      of: tie('number'),
    }),
    fc.record({
      kind: fc.constant('if' as const),
      condition: tie('bool'),
      then: tie('number'),
      otherwise: tie('number'),
    }),
    fc.record({ kind: fc.constant('orElse' as const), of: tie('number'), otherwise: tie('number') }),
  ),
  bool: fc.oneof(
    { maxDepth: 3, depthIdentifier: 'expression' },
    fc.constant({ kind: 'flag' as const }),
    fc.record({ kind: fc.constant('textIs' as const), text: fc.constantFrom(...TEXTS), negated: fc.boolean() }),
    fc.record({ kind: fc.constant('flagOrElse' as const), value: fc.boolean() }),
    fc.record({ kind: fc.constant('isNull' as const), of: tie('number') }),
    fc.record({
      kind: fc.constant('compare' as const),
      op: fc.constantFrom('eq' as const, 'ne' as const, 'lt' as const, 'le' as const, 'gt' as const, 'ge' as const),
      left: tie('number'),
      right: tie('number'),
    }),
    fc.record({ kind: fc.constantFrom('both' as const, 'either' as const), left: tie('bool'), right: tie('bool') }),
    fc.record({ kind: fc.constant('not' as const), of: tie('bool') }),
  ),
}));

const aggregate: fc.Arbitrary<AggregateSpec> = fc.record({
  aggregate: fc.constantFrom('count', 'sum', 'mean'),
  input: fc.oneof(
    { arbitrary: fc.constantFrom(null, 'flag' as const, 'text' as const), weight: 1 },
    { arbitrary: number, weight: 2 },
  ),
  log1p: fc.boolean(),
  where: fc.option(bool, { freq: 2 }),
  windows: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 2 }),
  delay: fc.oneof(fc.constant(0), fc.integer({ min: 1, max: 5 })),
  orElse: fc.option(fc.integer({ min: -2, max: 2 })),
});

const view: fc.Arbitrary<ViewSpec> = fc.record({
  from: fc.constantFrom('requests', 'signals'),
  key: fc.constantFrom('owner', 'peer'),
  include: fc.constantFrom('request', 'past'),
  ttl: fc.option(fc.integer({ min: 1, max: 8 })),
  features: fc.array(
    fc.record({
      aggregate,
      derived: fc.option(
        fc.record({
          op: fc.constantFrom('add' as const, 'sub' as const, 'mul' as const, 'div' as const),
          by: fc.constantFrom(2, 0.5, 0, 'count' as const),
        }),
      ),
    }),
    { minLength: 1, maxLength: 3 },
  ),
});

/** Small values, values that cancel badly as doubles, and the greatest integers there are. */
const record: fc.Arbitrary<RecordSpec> = fc.record({
  // Crowded at the start, so that equal times and repeated events are common.
  tick: fc.oneof(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 14 })),
  jitter: fc.constantFrom(0, 0, -1, 1),
  id: fc.oneof(fc.integer({ min: 0, max: 1 }), fc.integer({ min: 0, max: TEXT_IDS.length - 1 })),
  // A hot key and a few others.
  owner: fc.constantFrom(0, 0, 0, 1, 2),
  peer: fc.option(fc.constantFrom(0, 0, 1)),
  n: fc.option(
    fc.oneof(
      { arbitrary: fc.integer({ min: -20, max: 20 }), weight: 6 },
      { arbitrary: fc.constantFrom(EXTREME, -EXTREME), weight: 1 },
    ),
  ),
  amount: fc.option(
    fc.oneof(
      { arbitrary: fc.integer({ min: -500, max: 50_000 }), weight: 8 },
      { arbitrary: fc.constantFrom(EXTREME, -EXTREME), weight: 1 },
    ),
  ),
  ratio: fc.option(
    fc.oneof(
      fc.integer({ min: -80, max: 80 }).map((eighths) => eighths / 8 + 0),
      fc.constantFrom(1e16, -1e16, 1, 1e-300, 0.1, 0.2),
    ),
  ),
  flag: fc.option(fc.boolean()),
  text: fc.option(fc.constantFrom(...TEXTS)),
  partition: fc.integer({ min: 0, max: 1 }),
});

export const fuzzCase: fc.Arbitrary<FuzzCase> = fc.record({
  textIds: fc.boolean(),
  textKeys: fc.boolean(),
  unitMs: fc.constantFrom(1, 2, 1_000, 3_600_000),
  baseMs: fc.constantFrom(0, 1_600_000_000_000, -500_000_000_000),
  views: fc.array(view, { minLength: 1, maxLength: 2 }),
  request: fc.array(fc.oneof(number, bool), { minLength: 1, maxLength: 2 }),
  requests: fc.array(record, { minLength: 1, maxLength: 24 }),
  signals: fc.array(record, { maxLength: 24 }),
  lateness: fc.integer({ min: 0, max: 6 }),
  restoreEvery: fc.integer({ min: 2, max: 12 }),
  allowDirect: fc.boolean(),
  fromTick: fc.constantFrom(-1, 0, 7),
});
