import type { BoolExpression, EventStream } from '../../features/authoring/index.js';
import {
  count,
  entity,
  eventStream,
  featureService,
  featureView,
  mean,
  NumberExpression,
  requestFeatures,
  sum,
  t,
  type FieldsOf,
  type WindowedFeatures,
} from '../../features/authoring/index.js';
import type { ServiceInput } from '../../features/authoring/featureService.js';
import { literal } from '../../features/authoring/expressions.js';
import type { CompiledService, CompiledStream } from '../../features/compiledView.js';
import type { LoggedEvent } from '../../features/types.js';
import {
  TEXT_IDS,
  type AggregateSpec,
  type BoolSpec,
  type FeatureSpec,
  type FuzzCase,
  type NumberSpec,
  type RecordSpec,
} from './fuzzCase.js';

/** A case as definitions, made through the authors' own interface, and as the events of its logs. */
export interface BuiltCase {
  readonly service: CompiledService;
  readonly requests: CompiledStream;
  readonly signals: CompiledStream;
  /** The same as an author has it. */
  readonly authored: {
    readonly requests: FuzzStream;
    readonly signals: FuzzStream;
    readonly inputs: readonly [ServiceInput, ...(readonly ServiceInput[])];
  };
  readonly requestEvents: readonly LoggedEvent[];
  readonly signalEvents: readonly LoggedEvent[];
  /** Records in order of arrival, streams mixed. */
  readonly arrivals: readonly { readonly stream: 'requests' | 'signals'; readonly event: LoggedEvent }[];
}

function schemaOf(textIds: boolean, textKeys: boolean) {
  return {
    id: textIds ? t.string() : t.int(),
    at: t.timestamp(),
    owner: textKeys ? t.string() : t.int(),
    peer: (textKeys ? t.string() : t.int()).nullable(),
    n: t.int().nullable(),
    amount: t.decimal(2).nullable(),
    ratio: t.double().nullable(),
    flag: t.bool().nullable(),
    text: t.string().nullable(),
    /** Only the model's label: no feature reads it. */
    outcome: t.bool(),
  };
}

type FuzzStream = EventStream<ReturnType<typeof schemaOf>>;
type Fields = FieldsOf<ReturnType<typeof schemaOf>>;

export function buildCase(fuzz: FuzzCase): BuiltCase {
  const schema = schemaOf(fuzz.textIds, fuzz.textKeys);
  const options = { schema, eventId: 'id', eventTime: 'at', key: 'owner' } as const;
  const requestStream = eventStream('requests', options);
  const streams = {
    requests: requestStream,
    signals: eventStream('signals', { ...options, labels: requestStream }),
  };
  const party = entity('party', fuzz.textKeys ? t.string() : t.int());
  const views = fuzz.views.map((view, at) =>
    featureView(`view${at}`, {
      entity: party,
      from: streams[view.from],
      key: view.key,
      include: view.include,
      ...(view.ttl === null ? {} : { ttl: `${view.ttl * fuzz.unitMs}ms` }),
      features: (fields) =>
        Object.fromEntries(view.features.map((feature, index) => [`f${index}`, featureOf(feature, fields, fuzz)])),
    }),
  );
  const moment = requestFeatures(streams.requests, (fields) =>
    Object.fromEntries(
      fuzz.request.map((spec, at) => [`r${at}`, isBool(spec) ? boolOf(spec, fields) : numberOf(spec, fields)]),
    ),
  );
  const inputs = [moment, ...views] as const;
  const service = featureService('fuzz', { on: streams.requests, inputs }).compiled;
  const requestEvents = fuzz.requests.map((record, at) => eventOf(record, at, fuzz));
  const signalEvents = fuzz.signals.map((record, at) => eventOf(record, at, fuzz));
  const arrivals: BuiltCase['arrivals'][number][] = [];
  for (let at = 0; at < Math.max(requestEvents.length, signalEvents.length); at++) {
    const [request, signal] = [requestEvents[at], signalEvents[at]];
    if (signal !== undefined) arrivals.push({ stream: 'signals', event: signal });
    if (request !== undefined) arrivals.push({ stream: 'requests', event: request });
  }
  return {
    service,
    requests: streams.requests.compiled,
    signals: streams.signals.compiled,
    authored: { ...streams, inputs },
    requestEvents,
    signalEvents,
    arrivals,
  };
}

function eventOf(record: RecordSpec, offset: number, fuzz: FuzzCase): LoggedEvent {
  const time = fuzz.baseMs + record.tick * fuzz.unitMs + record.jitter;
  const id = fuzz.textIds ? (TEXT_IDS[record.id] as string) : record.id - 3;
  const key = (number: number): string | number => (fuzz.textKeys ? `k'${number}` : number);
  const peer = record.peer === null ? null : key(record.peer);
  const { n, amount, ratio, flag, text, partition } = record;
  return {
    time,
    id,
    values: [id, time, key(record.owner), peer, n, amount, ratio, flag, text, offset % 7 === 0],
    partition,
    offset,
  };
}

function featureOf({ aggregate, derived }: FeatureSpec, fields: Fields, fuzz: FuzzCase): WindowedFeatures {
  const windowed = windowedOf(aggregate, fields, fuzz);
  if (derived === null || isInexact(aggregate, fields)) return windowed;
  const other =
    derived.by === 'count' ? windowedOf({ ...aggregate, aggregate: 'count', orElse: null }, fields, fuzz) : derived.by;
  return windowed[derived.op](other);
}

/** Sums of doubles agree within a tolerance only: arithmetic on them would have none that can be stated. */
function isInexact(spec: AggregateSpec, fields: Fields): boolean {
  if (spec.aggregate === 'count' || spec.input === null || spec.input === 'flag' || spec.input === 'text') return false;
  // Means beyond 2^53 agree within 2 ulp, so their differences need not.
  return spec.aggregate === 'mean' || spec.log1p || numberOf(spec.input, fields).type.kind === 'double';
}

function windowedOf(spec: AggregateSpec, fields: Fields, { unitMs }: FuzzCase): WindowedFeatures {
  let aggregate = aggregateOf(spec, fields);
  if (spec.where !== null) aggregate = aggregate.where(boolOf(spec.where, fields));
  const [first, ...rest] = spec.windows.map((units) => `${units * unitMs}ms`);
  let windowed = aggregate.over(first as string, ...rest);
  if (spec.delay > 0) windowed = windowed.delay(`${spec.delay * unitMs}ms`);
  return spec.orElse === null ? windowed : windowed.orElse(spec.orElse);
}

function aggregateOf({ aggregate, input, log1p }: AggregateSpec, fields: Fields): ReturnType<typeof count> {
  if (aggregate === 'count') {
    if (input === null) return count();
    return count(input === 'text' ? fields.text : input === 'flag' ? fields.flag : numberOf(input, fields));
  }
  const make = aggregate === 'sum' ? sum : mean;
  if (input === null || input === 'flag' || input === 'text') return make(fields.flag);
  const of = numberOf(input, fields);
  return make(log1p ? of.log1p() : of);
}

function isBool(spec: NumberSpec | BoolSpec): spec is BoolSpec {
  return ['flag', 'compare', 'both', 'either', 'not', 'isNull', 'textIs', 'flagOrElse'].includes(spec.kind);
}

function numberOf(spec: NumberSpec, fields: Fields): NumberExpression {
  switch (spec.kind) {
    case 'field':
      return fields[spec.name];
    case 'literal':
      return new NumberExpression(literal(spec.value, { kind: Number.isInteger(spec.value) ? 'int' : 'double' }));
    case 'binary':
      return numberOf(spec.left, fields)[spec.op](numberOf(spec.right, fields));
    case 'unary':
      return numberOf(spec.of, fields)[spec.op]();
    case 'if':
      return boolOf(spec.condition, fields).if(numberOf(spec.then, fields), numberOf(spec.otherwise, fields));
    case 'orElse':
      return numberOf(spec.of, fields).orElse(numberOf(spec.otherwise, fields));
    case 'calendar':
      return fields.at[spec.part](spec.zone);
  }
}

function boolOf(spec: BoolSpec, fields: Fields): BoolExpression {
  switch (spec.kind) {
    case 'flag':
      return fields.flag;
    case 'compare':
      return numberOf(spec.left, fields)[spec.op](numberOf(spec.right, fields));
    case 'both':
      return boolOf(spec.left, fields).and(boolOf(spec.right, fields));
    case 'either':
      return boolOf(spec.left, fields).or(boolOf(spec.right, fields));
    case 'not':
      return boolOf(spec.of, fields).not();
    case 'isNull':
      return numberOf(spec.of, fields).isNull();
    case 'textIs':
      return spec.negated ? fields.text.ne(spec.text) : fields.text.eq(spec.text);
    case 'flagOrElse':
      return fields.flag.orElse(spec.value);
  }
}
