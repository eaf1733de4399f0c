import { durationMs } from '../../contracts/duration.js';
import type { CompiledAggregation, CompiledFeature, CompiledView } from '../compiledView.js';
import type { Expression } from '../expression.js';
import { canonicalJson, deepFreeze, hashOf } from '../hash.js';
import { WindowedFeatures, nodeType, type WindowedNode } from './aggregates.js';
import type { Entity } from './entity.js';
import type { EventStream, FieldOfKind, FieldsOf, Schema } from './eventStream.js';
import { checkName, definitionError } from './names.js';

export interface FeatureViewOptions<S extends Schema> {
  readonly entity: Entity;
  readonly from: EventStream<S>;
  /** Field of the stream that holds the entity's value. */
  readonly key: FieldOfKind<S, 'int' | 'string'>;
  /** Is the event at the request's own position visible? `past`: only those before it. @default 'past' */
  readonly include?: 'request' | 'past';
  /** Age of the latest event beyond which values are EXPIRED. @default never */
  readonly ttl?: string;
  /** Age up to which events count for the status. @default longest window plus delay; never shorter */
  readonly keep?: string;
  readonly features: (fields: FieldsOf<S>) => Readonly<Record<string, WindowedFeatures>>;
}

/** Features of one entity from one stream, as authors use it. */
export interface FeatureView {
  readonly kind: 'featureView';
  readonly compiled: CompiledView;
}

/**
 * Declares features of one entity, computed from one stream.
 *
 * @example
 * const spending = featureView('customer_spending', {
 *   entity: customer, from: transactions, key: 'customer', include: 'request',
 *   features: ({ amount }) => ({ transactions: count().over('1d', '7d'), average_amount: mean(amount).over('1d', '7d') }),
 * }) // transactions_1d, transactions_7d, average_amount_1d, average_amount_7d
 * @throws TidemillError DEFINITION_INVALID, NAME_INVALID
 */
export function featureView<const S extends Schema>(name: string, options: FeatureViewOptions<S>): FeatureView {
  checkName('featureView', name);
  const stream = options.from.compiled;
  const key = stream.fields.findIndex((field) => field.name === options.key);
  const keyField = stream.fields[key];
  if (keyField === undefined) {
    throw definitionError(`${name}.key`, `${stream.name} has no field ${JSON.stringify(options.key)}`);
  }
  if (keyField.type.kind !== options.entity.type.kind) {
    throw definitionError(
      `${name}.key`,
      `${stream.name}.${keyField.name} is ${keyField.type.kind}, but entity ${options.entity.name} is ${options.entity.type.kind}`,
    );
  }

  const aggregations: CompiledAggregation[] = [];
  const known = new Map<string, number>();
  const lower = (node: WindowedNode): Expression => {
    switch (node.kind) {
      case 'aggregation': {
        const text = canonicalJson(node.aggregation);
        const index = known.get(text) ?? aggregations.push(node.aggregation) - 1;
        known.set(text, index);
        return { op: 'aggregate', index, type: node.aggregation.type };
      }
      case 'literal':
        return node.node;
      case 'arithmetic':
        return { op: node.op, left: lower(node.left), right: lower(node.right), type: node.type };
      case 'orElse':
        return { op: 'orElse', of: lower(node.of), otherwise: node.otherwise, type: node.type };
    }
  };
  const features: CompiledFeature[] = [];
  for (const [base, windowed] of Object.entries(options.features(options.from.fields))) {
    checkName(`${name}.features`, base);
    if (!(windowed instanceof WindowedFeatures)) {
      throw definitionError(`${name}.features.${base}`, 'an aggregate needs its windows: .over(…)');
    }
    for (const { suffix, node, orElse } of windowed.features) {
      const feature = `${base}_${suffix}`;
      if (features.some((other) => other.name === feature)) {
        throw definitionError(`${name}.features.${base}`, `the window ${suffix} is there twice`);
      }
      features.push({ name: feature, type: nodeType(node), value: lower(node), orElse });
    }
  }
  if (features.length === 0) throw definitionError(`${name}.features`, 'a view needs at least one feature');

  const longestMs = Math.max(...aggregations.map(({ window }) => window.lengthMs + window.delayMs));
  const keepMs = options.keep === undefined ? longestMs : durationMs(options.keep);
  if (keepMs < longestMs) {
    throw definitionError(
      `${name}.keep`,
      `${options.keep} is shorter than the longest window plus delay (${longestMs} ms)`,
    );
  }
  const definition: Omit<CompiledView, 'hash'> = {
    kind: 'view',
    name,
    entity: { name: options.entity.name, type: options.entity.type },
    stream,
    key,
    includeRequest: options.include === 'request',
    keepMs,
    ttlMs: options.ttl === undefined ? null : durationMs(options.ttl),
    aggregations,
    features,
  };
  return deepFreeze({ kind: 'featureView', compiled: { ...definition, hash: hashOf(definition) } });
}
