import { isTidemillError, messageOf } from '../../contracts/errors.js';
import { DAY_MS } from '../../contracts/duration.js';
import { NumberExpression } from '../../features/authoring/index.js';
import { literal } from '../../features/authoring/expressions.js';
import type { CompiledStream } from '../../features/compiledView.js';
import { formatEvent } from '../../features/eventContract.js';
import { compareIds } from '../../features/order.js';
import type { EventId, LoggedEvent } from '../../features/types.js';
import { atLeast, defineProject, logistic, model, notWorse, rules } from '../../index.js';
import { testStreams, type StreamTestDriver } from '../../testing/index.js';
import type { BuiltCase } from './buildProject.js';
import { compare, interpretAll } from './expected.js';
import type { FuzzCase } from './fuzzCase.js';

const PARTITIONS = 2;
const FAULTS = 2;

/**
 * The case as a model that answers in order, on two instances of which something fails now and then. Only of cases with a view over
 * the requests by their peer, which is a hop away; signals by their peer are in no topology, and are left out.
 *
 *   within its cut      each vector is the interpreter's
 *   over all requests   each column over the requests is, too, since each partition is sent in order: nothing is on its way
 */
export async function checkOrdered(built: BuiltCase, fuzz: FuzzCase): Promise<string[]> {
  if (!fuzz.views.some(isCrossed)) return [];
  const answering = modelOf(built, fuzz);
  const requests = inOrder(built.requests, distinct(built.requests, built.requestEvents));
  const signals = inOrder(built.signals, built.signalEvents);
  const newest = Math.max(...[...requests, ...signals].map(({ time }) => time));
  const driver = await testStreams(defineProject('fuzz', { models: [answering] }), {
    instances: [],
    partitions: PARTITIONS,
    now: newest + DAY_MS,
  });
  try {
    const signalEvents = await send(driver, 'signals', built, signals);
    const requestEvents = await send(driver, 'requests', built, requests);
    const seed = fuzz.requests.length * 100 + fuzz.restoreEvery;
    await driver.interleave({ seed, instances: ['one', 'two'], faults: FAULTS });
    await driver.checkInvariants();
    const { service } = answering.compiled;
    const predictions = await driver.predictions(answering);
    return interpretAll({ ...built, service, requestEvents, signalEvents }).flatMap((expected) => {
      const { partition, offset, time, id } = expected.request;
      const found = predictions.find(({ source }) => source.partition === partition && source.offset === offset);
      if (found === undefined) return [`in order: request ${JSON.stringify(id)} at ${time} has no answer`];
      if (found.early === true) return [];
      const vector = found.vector.map((value, column) => {
        const input = service.inputs[service.columns[column]?.input ?? -1];
        const isOfSignals = input?.kind === 'view' && input.view.stream.name === 'signals';
        return isOfSignals ? (expected.vector[column] as number) : (value ?? Number.NaN);
      });
      return compare('in order', service, expected, vector);
    });
  } catch (error) {
    if (!isTidemillError(error, 'INVARIANT_BROKEN')) throw error;
    return [`in order: ${messageOf(error)} ${JSON.stringify(error.details)}`];
  } finally {
    await driver.close();
  }
}

function isCrossed({ from, key }: FuzzCase['views'][number]): boolean {
  return from === 'requests' && key === 'peer';
}

function modelOf({ authored }: BuiltCase, fuzz: FuzzCase) {
  const [moment, ...views] = authored.inputs;
  const inputs = views.filter((_, at) => fuzz.views[at]?.from === 'requests' || fuzz.views[at]?.key === 'owner');
  return model('fuzz', {
    task: 'binary',
    on: authored.requests,
    label: authored.signals.field('outcome'),
    labelDelay: '1h',
    entity: 'owner',
    inputs: [moment, ...inputs],
    answer: 'ordered',
    train: logistic(),
    split: { train: '12h', test: '6h' },
    gates: {
      absolute: [atLeast('auc', 0.6)],
      refresh: [notWorse('average_precision', { margin: 0.5 })],
      drift: [notWorse('average_precision', { margin: 0.5 })],
    },
    drift: { season: '1d', quiet: '1h', budget: '1 per 1d', freshPositives: 50 },
    decide: ({ score }) => rules().review(score.gt(0.5)).otherwise('allow'),
    fallback: () => rules().score(new NumberExpression(literal(0.5, { kind: 'double' }))),
  });
}

/** The first of each (time, id, key): the others end as duplicates where they come in. */
function distinct({ topicKey }: CompiledStream, events: readonly LoggedEvent[]): LoggedEvent[] {
  const first = new Map<string, LoggedEvent>();
  for (const event of events) {
    const identity = JSON.stringify([event.time, event.id, event.values[topicKey]]);
    if (!first.has(identity)) first.set(identity, event);
  }
  return [...first.values()];
}

function inOrder({ topicKey }: CompiledStream, events: readonly LoggedEvent[]): LoggedEvent[] {
  const keyOf = ({ values }: LoggedEvent): EventId => values[topicKey] as EventId;
  return [...events].sort((a, b) => a.time - b.time || compareIds(a.id, b.id) || compareIds(keyOf(a), keyOf(b)));
}

/** Sends events, and says where they are. */
async function send(
  driver: StreamTestDriver,
  name: 'requests' | 'signals',
  { authored, ...built }: BuiltCase,
  events: readonly LoggedEvent[],
): Promise<LoggedEvent[]> {
  const stream = driver.stream(authored[name]);
  const placed: LoggedEvent[] = [];
  for (const event of events) {
    const key = String(event.values[built[name].topicKey]);
    const [place] = await stream.sendRaw(formatEvent(built[name], event), { key, arrivesAt: driver.now });
    placed.push({ ...event, partition: place?.partition ?? 0, offset: place?.offset ?? 0 });
  }
  return placed;
}
