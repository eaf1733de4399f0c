import { durationMs, formatDuration } from '../../contracts/duration.js';
import { asDouble, isNumeric, scaleOf } from '../arithmetic.js';
import type { CompiledAggregation, CompiledWindow } from '../compiledView.js';
import type { Expression } from '../expression.js';
import type { ValueType } from '../types.js';
import { powerOfTen } from '../vector.js';
import type { NumberExpression } from './expressions.js';
import { arithmeticType, BoolExpression, literal, numberNode, type AuthoredExpression } from './expressions.js';
import { definitionError } from './names.js';

const INT: ValueType = { kind: 'int' };
const DOUBLE: ValueType = { kind: 'double' };

/** One windowed value before the view collects its distinct aggregations. */
export type WindowedNode =
  | { readonly kind: 'aggregation'; readonly aggregation: CompiledAggregation }
  | { readonly kind: 'literal'; readonly node: Expression }
  | {
      readonly kind: 'arithmetic';
      readonly op: 'add' | 'sub' | 'mul' | 'div';
      readonly left: WindowedNode;
      readonly right: WindowedNode;
      readonly type: ValueType;
    }
  | { readonly kind: 'orElse'; readonly of: WindowedNode; readonly otherwise: Expression; readonly type: ValueType };

/** Number of events, or of the non-null values of `input`. */
export function count(input?: AuthoredExpression): Aggregate {
  return new Aggregate('count', input?.node ?? null, null);
}

/** Sum; of a bool the number of true values. Null over nothing. */
export function sum(input: NumberExpression | BoolExpression): Aggregate {
  return new Aggregate('sum', summable('sum', input), null);
}

/** Mean; of a bool the share of true values. Null over nothing. */
export function mean(input: NumberExpression | BoolExpression): Aggregate {
  return new Aggregate('mean', summable('mean', input), null);
}

function summable(name: string, input: NumberExpression | BoolExpression): Expression {
  const { node } = input;
  if (isNumeric(node.type) || node.type.kind === 'bool') return node;
  throw definitionError(name, `${node.type.kind} cannot be added up; int, decimal, double and bool can`);
}

/** An aggregate that still lacks its windows. */
export class Aggregate {
  constructor(
    readonly aggregate: CompiledAggregation['aggregate'],
    readonly input: Expression | null,
    readonly condition: Expression | null,
  ) {}

  /** Only events for which `condition` is true (not false, not null); several conditions must all hold. */
  where(condition: BoolExpression): Aggregate {
    const both = this.condition === null ? condition.node : new BoolExpression(this.condition).and(condition).node;
    return new Aggregate(this.aggregate, this.input, both);
  }

  /** Sliding windows: events of age below each duration. Feature NAME becomes NAME_1d, NAME_7d, … */
  over(...windows: readonly [string, ...string[]]): WindowedFeatures {
    return new WindowedFeatures(
      windows.map((window) => {
        const lengthMs = durationMs(window);
        if (lengthMs === 0) throw definitionError('over', `a window of ${JSON.stringify(window)} is empty`);
        return {
          suffix: formatDuration(lengthMs),
          node: { kind: 'aggregation', aggregation: this.compiled({ kind: 'sliding', lengthMs, delayMs: 0 }) },
          orElse: null,
        };
      }),
    );
  }

  private compiled(window: CompiledWindow): CompiledAggregation {
    const type = this.aggregate === 'count' ? INT : this.aggregate === 'mean' ? DOUBLE : sumType(this.input);
    return { aggregate: this.aggregate, input: this.input, where: this.condition, window, type };
  }
}

function sumType(input: Expression | null): ValueType {
  return input === null || input.type.kind === 'bool' ? INT : input.type;
}

interface WindowedFeature {
  readonly suffix: string;
  readonly node: WindowedNode;
  readonly orElse: Expression | null;
}

/** One feature per window. Arithmetic goes window by window. */
export class WindowedFeatures {
  constructor(readonly features: readonly WindowedFeature[]) {}

  /** Stands in for null; the status is then DEFAULTED. */
  orElse(value: number): WindowedFeatures {
    return this.map((feature) => ({ ...feature, orElse: defaultLiteral(nodeType(feature.node), value) }));
  }

  /** The value as it was `delay` ago: windows end `delay` before the position. */
  delay(delay: string): WindowedFeatures {
    const delayMs = durationMs(delay);
    return this.map((feature) => ({ ...feature, node: delayed(feature.node, delayMs) }));
  }

  add(other: WindowedFeatures | number): WindowedFeatures {
    return this.combine('add', other);
  }
  sub(other: WindowedFeatures | number): WindowedFeatures {
    return this.combine('sub', other);
  }
  mul(other: WindowedFeatures | number): WindowedFeatures {
    return this.combine('mul', other);
  }
  /** Null where the divisor is 0. */
  div(other: WindowedFeatures | number): WindowedFeatures {
    return this.combine('div', other);
  }

  private map(change: (feature: WindowedFeature) => WindowedFeature): WindowedFeatures {
    return new WindowedFeatures(this.features.map(change));
  }

  private combine(op: 'add' | 'sub' | 'mul' | 'div', other: WindowedFeatures | number): WindowedFeatures {
    if (other instanceof WindowedFeatures && other.features.length !== this.features.length) {
      throw definitionError(op, `${this.features.length} windows do not pair with ${other.features.length}`);
    }
    return new WindowedFeatures(
      this.features.map((feature, at) => {
        const left = settled(feature);
        const right: WindowedNode =
          other instanceof WindowedFeatures
            ? settled(other.features[at] as WindowedFeature)
            : { kind: 'literal', node: numberNode(other, nodeType(left)) };
        const type = arithmeticType(op, nodeType(left), nodeType(right));
        return { suffix: feature.suffix, node: { kind: 'arithmetic', op, left, right, type }, orElse: null };
      }),
    );
  }
}

/** A feature as an operand: its default becomes part of the expression. */
function settled({ node, orElse }: WindowedFeature): WindowedNode {
  return orElse === null ? node : { kind: 'orElse', of: node, otherwise: orElse, type: nodeType(node) };
}

export function nodeType(node: WindowedNode): ValueType {
  if (node.kind === 'aggregation') return node.aggregation.type;
  return node.kind === 'literal' ? node.node.type : node.type;
}

function delayed(node: WindowedNode, delayMs: number): WindowedNode {
  switch (node.kind) {
    case 'aggregation': {
      const { window } = node.aggregation;
      return {
        ...node,
        aggregation: { ...node.aggregation, window: { ...window, delayMs: window.delayMs + delayMs } },
      };
    }
    case 'literal':
      return node;
    case 'arithmetic':
      return { ...node, left: delayed(node.left, delayMs), right: delayed(node.right, delayMs) };
    case 'orElse':
      return { ...node, of: delayed(node.of, delayMs) };
  }
}

/** A default in the in-memory form of `type`. */
function defaultLiteral(type: ValueType, value: number): Expression {
  const scaled = Math.round(value * powerOfTen(scaleOf(type)));
  const held = type.kind === 'double' ? value : scaled;
  if (!Number.isFinite(value) || (type.kind !== 'double' && asDouble(type, scaled) !== value)) {
    throw definitionError('orElse', `${value} is not a value of type ${type.kind}`, { value });
  }
  return literal(held + 0, type);
}
