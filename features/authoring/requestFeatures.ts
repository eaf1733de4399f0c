import type { CompiledRequestView } from '../compiledView.js';
import { deepFreeze, hashOf } from '../hash.js';
import { AuthoredExpression } from './expressions.js';
import type { EventStream, FieldsOf, Schema } from './eventStream.js';
import { checkName, definitionError } from './names.js';

/** Features of the request's own fields, as authors use it. */
export interface RequestFeatures {
  readonly kind: 'requestFeatures';
  readonly compiled: CompiledRequestView;
}

/**
 * Declares features of the request itself.
 *
 * @param options.name of the view; `STREAM_request` by default.
 * @example const moment = requestFeatures(transactions, ({ at, amount }) => ({ night: at.hour('UTC').le(6), amount }))
 * @throws TidemillError DEFINITION_INVALID, NAME_INVALID
 */
export function requestFeatures<const S extends Schema>(
  stream: EventStream<S>,
  features: (fields: FieldsOf<S>) => Readonly<Record<string, AuthoredExpression>>,
  options: { readonly name?: string } = {},
): RequestFeatures {
  const name = options.name ?? `${stream.compiled.name}_request`;
  checkName('requestFeatures', name);
  const compiled = Object.entries(features(stream.fields)).map(([feature, expression]) => {
    checkName(name, feature);
    if (!(expression instanceof AuthoredExpression)) {
      throw definitionError(`${name}.${feature}`, 'is not an expression over the fields of the request');
    }
    return { name: feature, type: expression.type, value: expression.node };
  });
  if (compiled.length === 0) throw definitionError(name, 'at least one feature is needed');
  const definition: Omit<CompiledRequestView, 'hash'> = {
    kind: 'request',
    name,
    stream: stream.compiled,
    features: compiled,
  };
  return deepFreeze({ kind: 'requestFeatures', compiled: { ...definition, hash: hashOf(definition) } });
}
