import { messageOf, TidemillError } from '../../../contracts/errors.js';
import type {
  CompiledField,
  CompiledInput,
  CompiledService,
  CompiledStream,
  CompiledView,
} from '../../../features/compiledView.js';
import { layOut, viewIdentity, type VectorLayout } from '../../../features/vectorLayout.js';
import type { CompiledModel } from '../../../models/definition.js';

/**
 * How a request travels: one stage per entity whose features it needs. The entity that the request topic is keyed by
 * costs no hop and comes first; the others follow in the order of the request's fields, whatever the order of the inputs,
 * so that a change of inputs never reorders them.
 *
 *   transactions ─ customer ──hop──▶ terminal ─▶ predictions
 *                                      ▲
 *                            fraud-labels (keyed by terminal)
 *
 * A later stage may have views over the requests themselves, by its own entity: the rows that come to it carry all of a
 * request's fields, and feed them.
 *
 * A plan serves every version in use: it computes the views of all their services, each once, into one vector, of which
 * every version reads its own columns.
 */
export interface ScorePlan {
  readonly model: CompiledModel;
  /** The stream whose events are the requests: the same for all services. */
  readonly request: CompiledStream;
  /** What is computed; that of the definition comes first, unless it is left out. */
  readonly services: readonly CompiledService[];
  /** What is not computed, and why. */
  readonly leftOut: readonly { readonly service: CompiledService; readonly problem: string }[];
  readonly layout: VectorLayout;
  readonly stages: readonly Stage[];
}

export interface Stage {
  /** Name of the request's field that leads here; names tasks and hop topics. */
  readonly name: string;
  /** Index of that field in the request stream. */
  readonly field: number;
  readonly views: readonly StageView[];
  /** Streams other than the requests that feed the views, each once. */
  readonly streams: readonly CompiledStream[];
  /** Are there views over the requests themselves? */
  readonly hasOwn: boolean;
}

export interface StageView {
  readonly view: CompiledView;
  /** First column of the view in the vector. */
  readonly start: number;
  /** Is the view's stream the request stream? */
  readonly own: boolean;
}

export interface PlanOptions {
  /** Services of the versions in use, besides the definition's. */
  readonly services?: readonly CompiledService[];
  /** Fields of the request that rows of an earlier plan may still be on the way to: each keeps its stage. */
  readonly passing?: readonly number[];
  /** Views that cannot be computed, by identity, and why: services that read them are left out. */
  readonly unavailable?: ReadonlyMap<string, string>;
}

/** @throws TidemillError TOPOLOGY_UNSUPPORTED where not even the model's own definition can be computed. */
export function planScore(model: CompiledModel, options: PlanOptions = {}): ScorePlan {
  const { request } = model.service;
  const services: CompiledService[] = [];
  const leftOut: { service: CompiledService; problem: string }[] = [];
  const streams = new Map<string, CompiledStream>([[request.name, request]]);
  for (const service of [model.service, ...(options.services ?? [])]) {
    if ([...services, ...leftOut.map((each) => each.service)].some(({ hash }) => hash === service.hash)) continue;
    try {
      checkInputs(model, service, streams, options.unavailable ?? new Map());
    } catch (error) {
      leftOut.push({ service, problem: messageOf(error) });
      continue;
    }
    for (const stream of streamsOf(service)) streams.set(stream.name, stream);
    services.push(service);
  }
  const [first] = leftOut;
  if (services.length === 0 && first !== undefined)
    throw new TidemillError('TOPOLOGY_UNSUPPORTED', first.problem, { model: model.name });
  const layout = layOut(services);
  return { model, request, services, leftOut, layout, stages: stagesOf(request, layout, options.passing ?? []) };
}

function stagesOf(request: CompiledStream, { inputs }: VectorLayout, passing: readonly number[]): Stage[] {
  const byField = new Map<number, StageView[]>([request.topicKey, ...passing].map((field) => [field, []]));
  for (const { input, start } of inputs) {
    if (input.kind !== 'view') continue;
    const { view, requestKey } = input;
    const views = byField.get(requestKey) ?? [];
    byField.set(requestKey, [...views, { view, start, own: view.stream.name === request.name }]);
  }
  const inOrder = [...byField].sort(([a], [b]) => place(request, a) - place(request, b));
  return inOrder.map(([field, views]): Stage => {
    const streams = new Map(views.filter(({ own }) => !own).map(({ view }) => [view.stream.name, view.stream]));
    const hasOwn = views.some(({ own }) => own);
    return { name: fieldName(request, field), field, views, streams: [...streams.values()], hasOwn };
  });
}

function place({ topicKey }: CompiledStream, field: number): number {
  return field === topicKey ? -1 : field;
}

function streamsOf({ request, inputs }: CompiledService): CompiledStream[] {
  return [request, ...inputs.map(({ view }) => view.stream)];
}

/** @throws TidemillError TOPOLOGY_UNSUPPORTED, INPUTS_CHANGED */
function checkInputs(
  model: CompiledModel,
  service: CompiledService,
  streams: ReadonlyMap<string, CompiledStream>,
  unavailable: ReadonlyMap<string, string>,
): void {
  for (const stream of streamsOf(service)) {
    const known = streams.get(stream.name);
    // Records are read by one contract: two of one stream would take two readers.
    if (known === undefined || known.hash === stream.hash) continue;
    throw new TidemillError(
      'INPUTS_CHANGED',
      `${model.name}: service ${service.hash.slice(0, 12)} reads ${stream.name} by another contract than the model's definition`,
      { model: model.name, stream: stream.name, service: service.hash },
    );
  }
  for (const input of service.inputs) {
    const problem = unavailable.get(viewIdentity(input.view));
    if (problem !== undefined)
      throw new TidemillError('OFFSET_LOST', `${model.name}: view ${input.view.name}: ${problem}`, {
        view: input.view.name,
      });
    checkKeys(model, service.request, input);
  }
}

function checkKeys(model: CompiledModel, request: CompiledStream, input: CompiledInput): void {
  if (input.kind !== 'view') return;
  const { view, requestKey } = input;
  const where = `${model.name}: view ${view.name}`;
  const isOwn = view.stream.name === request.name;
  if (!isOwn && view.stream.topicKey !== view.key) {
    const [by, topicKey] = [fieldName(view.stream, view.key), fieldName(view.stream, view.stream.topicKey)];
    throw new TidemillError(
      'TOPOLOGY_UNSUPPORTED',
      `${where} is keyed by ${by}, but its stream ${view.stream.name} by ${topicKey}: its state would be spread over all tasks`,
      { view: view.name, stream: view.stream.name, key: by, topicKey },
    );
  }
  // A stream is read by one stage. Views are looked up by the field that their key is named like, so nothing that is declared gets here.
  if (!isOwn && fieldName(request, requestKey) !== fieldName(view.stream, view.key)) {
    const [by, lookup] = [fieldName(view.stream, view.key), fieldName(request, requestKey)];
    throw new TidemillError('TOPOLOGY_UNSUPPORTED', `${where} is keyed by ${by}, and looked up by ${lookup}`, {
      view: view.name,
      stream: view.stream.name,
    });
  }
  // A request goes to the tasks of an entity once: what it is counted under and what it looks up must be the same there.
  if (isOwn && requestKey !== view.key) {
    const [key, lookup] = [fieldName(request, view.key), fieldName(request, requestKey)];
    throw new TidemillError('TOPOLOGY_UNSUPPORTED', `${where} is keyed by ${key}, and looked up by ${lookup}`, {
      view: view.name,
    });
  }
}

function fieldName(stream: CompiledStream, at: number): string {
  return (stream.fields[at] as CompiledField).name;
}
