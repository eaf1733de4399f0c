import { TidemillError } from '../../../contracts/errors.js';
import type { CompiledField, CompiledStream, CompiledView } from '../../../features/compiledView.js';
import type { CompiledModel } from '../../../models/definition.js';

/**
 * How a request travels: one stage per entity whose features it needs. The entity that the request topic is keyed by
 * costs no hop and comes first.
 *
 *   transactions ─ customer ──hop──▶ terminal ─▶ predictions
 *                                      ▲
 *                            fraud-labels (keyed by terminal)
 */
export interface ScorePlan {
  readonly model: CompiledModel;
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
}

export interface StageView {
  readonly view: CompiledView;
  /** First column of the view in the vector. */
  readonly start: number;
  /** Is the view's stream the request stream? */
  readonly own: boolean;
}

/** @throws TidemillError TOPOLOGY_UNSUPPORTED */
export function planScore(model: CompiledModel): ScorePlan {
  const { service } = model;
  const { request } = service;
  const byField = new Map<number, StageView[]>([[request.topicKey, []]]);
  let start = 0;
  for (const input of service.inputs) {
    if (input.kind === 'view') {
      const { view, requestKey } = input;
      const own = view.stream.name === request.name;
      const place = `${model.name}: view ${view.name}`;
      if (view.stream.topicKey !== view.key) {
        const [by, topicKey] = [fieldName(view.stream, view.key), fieldName(view.stream, view.stream.topicKey)];
        throw new TidemillError(
          'TOPOLOGY_UNSUPPORTED',
          `${place} is keyed by ${by}, but its stream ${view.stream.name} by ${topicKey}: its state would be spread over all tasks`,
          { view: view.name, stream: view.stream.name, key: by, topicKey },
        );
      }
      if (own && requestKey !== request.topicKey) {
        throw new TidemillError(
          'TOPOLOGY_UNSUPPORTED',
          `${place} is looked up by ${fieldName(request, requestKey)}, not by its own key`,
          {
            view: view.name,
          },
        );
      }
      const views = byField.get(requestKey) ?? [];
      byField.set(requestKey, [...views, { view, start, own }]);
    }
    start += input.view.features.length;
  }
  const stages = [...byField].map(([field, views]): Stage => {
    const streams = new Map(views.filter(({ own }) => !own).map(({ view }) => [view.stream.name, view.stream]));
    return { name: fieldName(request, field), field, views, streams: [...streams.values()] };
  });
  return { model, stages };
}

function fieldName(stream: CompiledStream, at: number): string {
  return (stream.fields[at] as CompiledField).name;
}
