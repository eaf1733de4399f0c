import { messageOf, TidemillError } from '../contracts/errors.js';
import type { CompiledAggregation, CompiledInput, CompiledService, CompiledWindow } from './compiledView.js';
import type { Expression } from './expression.js';
import { canonicalJson, deepFreeze, hashOf } from './hash.js';

/** Changes where a reader of before could misread what is stored. */
const FORMAT = 1;

/** Every operation that this build computes: a service stored by a newer one may hold others. */
const KNOWN_OPERATIONS: Readonly<Record<Expression['op'], true>> = {
  field: true,
  literal: true,
  aggregate: true,
  not: true,
  negate: true,
  abs: true,
  log1p: true,
  toDouble: true,
  isNull: true,
  add: true,
  sub: true,
  mul: true,
  div: true,
  eq: true,
  ne: true,
  lt: true,
  le: true,
  gt: true,
  ge: true,
  and: true,
  or: true,
  if: true,
  orElse: true,
  calendar: true,
};
const KNOWN_AGGREGATES: Readonly<Record<CompiledAggregation['aggregate'], true>> = {
  count: true,
  sum: true,
  mean: true,
};
const KNOWN_WINDOWS: Readonly<Record<CompiledWindow['kind'], true>> = { sliding: true };

/**
 * A service as data, kept with every version that reads it: the version can be served when the definitions that it was
 * trained with are in the code no more. All of it is plain: a service holds no function.
 */
export function encodeService(service: CompiledService): Buffer {
  return Buffer.from(canonicalJson({ format: FORMAT, service }), 'utf8');
}

/**
 * @param hash of the service that is expected.
 * @throws TidemillError SERVICE_UNREADABLE where the bytes are another service, or hold what this build cannot compute.
 */
export function decodeService(bytes: Uint8Array, hash: string): CompiledService {
  const unreadable = (problem: string): TidemillError =>
    new TidemillError('SERVICE_UNREADABLE', `feature service ${hash.slice(0, 12)}: ${problem}`, { service: hash });
  let stored: { readonly format?: unknown; readonly service?: CompiledService };
  try {
    stored = JSON.parse(Buffer.from(bytes).toString('utf8')) as typeof stored;
  } catch (error) {
    throw unreadable(messageOf(error));
  }
  const { format, service } = stored;
  if (format !== FORMAT || service === undefined) throw unreadable(`it is stored in format ${String(format)}`);
  const { hash: stated, ...definition } = service;
  if (stated !== hash || hashOf(definition) !== hash) throw unreadable(`what is stored is service ${stated}`);
  const foreign = service.inputs.flatMap(foreignParts);
  if (foreign.length > 0) throw unreadable(`this build does not compute ${[...new Set(foreign)].join(', ')}`);
  return deepFreeze(service);
}

/** Operations and aggregations of an input that this build does not know. */
function foreignParts(input: CompiledInput): string[] {
  const kind: string = input.kind;
  if (kind !== 'request' && kind !== 'view') return [`inputs of kind ${kind}`];
  const found: string[] = [];
  const visit = (part: unknown): void => {
    if (part === null || typeof part !== 'object') return;
    const { op } = part as { readonly op?: unknown };
    if (typeof op === 'string' && !(op in KNOWN_OPERATIONS)) found.push(`the operation ${op}`);
    for (const each of Object.values(part)) visit(each);
  };
  visit(input.view.features);
  if (input.kind === 'view') {
    visit(input.view.aggregations);
    for (const { aggregate, window } of input.view.aggregations) {
      if (!(aggregate in KNOWN_AGGREGATES)) found.push(`the aggregation ${aggregate}`);
      if (!(window.kind in KNOWN_WINDOWS)) found.push(`${window.kind} windows`);
    }
  }
  return found;
}
