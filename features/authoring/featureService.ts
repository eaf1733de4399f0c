import type { CompiledInput, CompiledService, CompiledStream, ServiceColumn } from '../compiledView.js';
import { deepFreeze, hashOf } from '../hash.js';
import type { EventStream } from './eventStream.js';
import type { FeatureView } from './featureView.js';
import { checkName, definitionError } from './names.js';
import type { RequestFeatures } from './requestFeatures.js';

/** What one model reads, as authors use it. */
export interface FeatureService {
  readonly kind: 'featureService';
  readonly compiled: CompiledService;
}

export type ServiceInput = FeatureView | RequestFeatures;

/**
 * Declares the input vector of a model: the features of `inputs`, one after the other. A view is looked up by the field
 * of the request stream that is named like the view's key.
 *
 * @throws TidemillError DEFINITION_INVALID, NAME_INVALID
 */
export function featureService(
  name: string,
  options: { readonly on: EventStream; readonly inputs: readonly ServiceInput[] },
): FeatureService {
  checkName('featureService', name);
  const request = options.on.compiled;
  const inputs = options.inputs.map((input) => compiledInput(name, request, input));
  const names = new Set<string>();
  const repeated = new Set<string>();
  for (const input of inputs) {
    for (const feature of input.view.features) {
      if (names.has(feature.name)) repeated.add(feature.name);
      names.add(feature.name);
    }
  }
  const columns: ServiceColumn[] = inputs.flatMap((input, at) =>
    input.view.features.map((feature, index) => {
      if (feature.type.kind === 'string') {
        throw definitionError(
          `${name}.${input.view.name}.${feature.name}`,
          'a string cannot be a column of the vector',
        );
      }
      const column = repeated.has(feature.name) ? `${input.view.name}.${feature.name}` : feature.name;
      return { name: column, type: feature.type, input: at, feature: index };
    }),
  );
  if (columns.length === 0) throw definitionError(name, 'a service needs at least one input');
  const definition: Omit<CompiledService, 'hash'> = { kind: 'service', name, request, inputs, columns };
  return deepFreeze({ kind: 'featureService', compiled: { ...definition, hash: hashOf(definition) } });
}

function compiledInput(service: string, request: CompiledStream, input: ServiceInput): CompiledInput {
  if (input.kind === 'requestFeatures') {
    if (input.compiled.stream.hash !== request.hash) {
      throw definitionError(
        `${service}.${input.compiled.name}`,
        `reads ${input.compiled.stream.name}, not ${request.name}`,
      );
    }
    return { kind: 'request', view: input.compiled };
  }
  const view = input.compiled;
  const keyName = view.stream.fields[view.key]?.name;
  const requestKey = request.fields.findIndex((field) => field.name === keyName);
  const field = request.fields[requestKey];
  if (field === undefined) {
    throw definitionError(
      `${service}.${view.name}`,
      `${request.name} has no field ${JSON.stringify(keyName)} to look the view up by`,
    );
  }
  if (field.type.kind !== view.entity.type.kind) {
    throw definitionError(
      `${service}.${view.name}`,
      `${request.name}.${field.name} is ${field.type.kind}, but entity ${view.entity.name} is ${view.entity.type.kind}`,
    );
  }
  return { kind: 'view', view, requestKey };
}
