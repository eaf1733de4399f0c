import { durationMs } from '../contracts/duration.js';
import type { BoolExpression } from '../features/authoring/index.js';
import {
  featureService,
  NumberExpression,
  type EventStream,
  type FieldsOf,
  type Schema,
  type ServiceInput,
} from '../features/authoring/index.js';
import type { FieldReference } from '../features/authoring/eventStream.js';
import { checkName, definitionError } from '../features/authoring/names.js';
import { deepFreeze, hashOf } from '../features/hash.js';
import type {
  AbsoluteGate,
  ComparativeGate,
  CompiledModel,
  DecisionRules,
  FallbackRules,
  MetricName,
  OperationalGate,
  TrainerSpec,
} from './definition.js';
import { compileLabels, type LabelOptions } from './labelSpec.js';
import { operationalGates } from './operationalGates.js';
import { compileAudit, compileHeal, compileSchedule, type AuditOptions, type ScheduleOptions } from './schedule.js';

/** A model, as authors use it. */
export interface Model {
  readonly kind: 'model';
  readonly compiled: CompiledModel;
}

export interface ModelOptions<S extends Schema> {
  readonly task: 'binary';
  /** Stream whose events are the requests. */
  readonly on: EventStream<S>;
  /** Field of a label stream: bool, or int 0 and 1. */
  readonly label: FieldReference;
  /** How long after the request its label becomes known. */
  readonly labelDelay: string;
  /** What becomes of labels that are late, never come, are revised, or cannot be honest. */
  readonly labels?: LabelOptions;
  /** Field of the request by which rows are clustered in tests and split in canaries. */
  readonly entity: keyof S & string;
  readonly inputs: readonly ServiceInput[];
  readonly train: TrainerSpec;
  /** Length of the training and of the test part, stream time. */
  readonly split: { readonly train: string; readonly test: string };
  readonly gates: {
    readonly absolute: readonly AbsoluteGate[];
    /** Asked of a scheduled or manual retrain. */
    readonly refresh: readonly ComparativeGate[];
    /** Asked of a retrain after drift. */
    readonly drift: readonly ComparativeGate[];
    /** Asked in shadow, canary and bake, one of a kind. @default [errors(0.001)], which is added where it is not declared */
    readonly operational?: readonly OperationalGate[];
  };
  readonly shadow?: { readonly requests: number; readonly atMost: string };
  readonly canary?: { readonly shares: readonly number[]; readonly requests: number; readonly atMost: string };
  readonly bake?: string;
  readonly probation?: { readonly positives: number; readonly atMost: string };
  readonly drift: {
    /** Period of the data. */
    readonly season: string;
    /** Time after a decision in which no automatic rollout starts. */
    readonly quiet: string;
    /** Like `3 per 7d`. */
    readonly budget: string;
    /** Labelled positives among requests made after the onset, before a drift case trains. */
    readonly freshPositives: number;
  };
  readonly decide: (fields: FieldsOf<S> & { readonly score: NumberExpression }) => DecisionRules;
  readonly fallback: (fields: FieldsOf<S>) => FallbackRules;
  /** Instances that must be able to follow a promotion. @default 1 */
  readonly minReady?: number;
  /** @default 'automatic' */
  readonly approval?: 'automatic' | 'human';
  /** Wall time without progress of stream time after which a phase is given up, and a case shows that it waits. @default '1h' */
  readonly stallAfter?: string;
  /**
   * When a request is answered at the tasks of an entity that its topic is not keyed by.
   *
   *   arrival   at once, with what has come by then; what was on its way is measured as skew
   *   ordered   once everything up to its time has come from everywhere, so that nothing is on its way where inputs are in order
   *
   * @default 'arrival'
   */
  readonly answer?: 'arrival' | 'ordered' | OrderingOptions;
  /** When it is retrained without anybody asking, wall time; `tidemill apply` sets it up. */
  readonly schedule?: ScheduleOptions;
  /** The same for audits of what it served; skew beyond the limit of the gate `skew` opens a drift case. @default never */
  readonly audit?: AuditOptions;
  /** The same for healings: events that the online store of its views lacks, late ones say, are inserted. @default never */
  readonly heal?: ScheduleOptions;
}

/** How requests are answered in order. */
export interface OrderingOptions {
  /**
   * A request waits no longer, wall time, while nobody has more to read; its prediction then says so (`early`). Longer than
   * a second, after which a silent partition is known to be idle, or quiet hours make early answers. @default '2s'
   */
  readonly maxWait?: string;
  /**
   * How far a partition may run ahead of the slowest, stream time, while history is replayed: requests of so much time wait in
   * memory. @default '1h'
   */
  readonly maxDrift?: string;
}

/**
 * Declares a model.
 *
 * @throws TidemillError DEFINITION_INVALID naming the option at fault, NAME_INVALID
 */
export function model<const S extends Schema>(name: string, options: ModelOptions<S>): Model {
  checkName('model', name);
  const request = options.on.compiled;
  const service = featureService(name, { on: options.on, inputs: options.inputs }).compiled;
  const entity = request.fields.findIndex((field) => field.name === options.entity);
  if (entity === -1)
    throw definitionError(`${name}.entity`, `${request.name} has no field ${JSON.stringify(options.entity)}`);
  const label = options.label.stream.fields[options.label.field];
  if (label === undefined || (label.type.kind !== 'bool' && label.type.kind !== 'int')) {
    throw definitionError(
      `${name}.label`,
      `${label?.name ?? 'the field'} is ${label?.type.kind ?? 'unknown'}; it must be bool, or int 0 and 1`,
    );
  }
  // No label is an event that does not come: a null would count as a negative in training and in outcomes.
  if (label.nullable) throw definitionError(`${name}.label`, `${label.name} is nullable; it must be required`);
  if (options.label.stream.labels !== request.name) {
    throw definitionError(
      `${name}.label`,
      `${options.label.stream.name} does not label ${request.name}: declare labels: on the stream`,
    );
  }
  const fields = options.on.fields;
  const score = new NumberExpression({ op: 'field', name: 'score', type: { kind: 'double' } });
  if (request.fields.some((field) => field.name === 'score')) {
    throw definitionError(
      `${name}.on`,
      `${request.name} has a field named score, which decision rules need for the model's score`,
    );
  }
  const definition: Omit<CompiledModel, 'hash'> = {
    kind: 'model',
    name,
    task: options.task,
    service,
    request,
    label: {
      stream: options.label.stream,
      field: options.label.field,
      delayMs: durationMs(options.labelDelay),
      ...compileLabels(`${name}.labels`, durationMs(options.labelDelay), options.labels),
    },
    entity,
    trainer: options.train,
    split: {
      trainMs: positive(`${name}.split.train`, options.split.train),
      testMs: positive(`${name}.split.test`, options.split.test),
    },
    gates: {
      ...options.gates,
      operational: operationalGates(`${name}.gates.operational`, options.gates.operational ?? []),
    },
    rollout: {
      shadow:
        options.shadow === undefined
          ? null
          : {
              requests: atLeastOne(`${name}.shadow.requests`, options.shadow.requests),
              atMostMs: durationMs(options.shadow.atMost),
            },
      canary:
        options.canary === undefined
          ? null
          : {
              shares: sharesOf(`${name}.canary.shares`, options.canary.shares),
              requests: atLeastOne(`${name}.canary.requests`, options.canary.requests),
              atMostMs: durationMs(options.canary.atMost),
            },
      bakeMs: options.bake === undefined ? null : durationMs(options.bake),
      probation:
        options.probation === undefined
          ? null
          : {
              positives: atLeastOne(`${name}.probation.positives`, options.probation.positives),
              atMostMs: durationMs(options.probation.atMost),
            },
    },
    drift: {
      seasonMs: positive(`${name}.drift.season`, options.drift.season),
      quietMs: durationMs(options.drift.quiet),
      budget: budget(`${name}.drift.budget`, options.drift.budget),
      freshPositives: atLeastOne(`${name}.drift.freshPositives`, options.drift.freshPositives),
    },
    rules: options.decide({ ...fields, score }),
    fallback: options.fallback(fields),
    minReady: atLeastOne(`${name}.minReady`, options.minReady ?? 1),
    approval: options.approval ?? 'automatic',
    stallAfterMs: positive(`${name}.stallAfter`, options.stallAfter ?? '1h'),
    ...orderingOf(name, options.answer ?? 'arrival'),
    schedule: options.schedule === undefined ? null : compileSchedule(`${name}.schedule`, options.schedule),
    ...(options.audit === undefined ? {} : { audit: compileAudit(`${name}.audit`, options.audit) }),
    ...(options.heal === undefined ? {} : { heal: compileHeal(`${name}.heal`, options.heal, service) }),
  };
  if (definition.gates.absolute.length === 0) {
    throw definitionError(
      `${name}.gates.absolute`,
      'at least one absolute gate is needed: without one a first version has no evidence',
    );
  }
  return deepFreeze({ kind: 'model', compiled: { ...definition, hash: hashOf(definition) } });
}

function orderingOf(
  name: string,
  answer: NonNullable<ModelOptions<Schema>['answer']>,
): Pick<CompiledModel, 'ordering'> {
  if (answer === 'arrival') return {};
  const { maxWait = '2s', maxDrift = '1h' } = answer === 'ordered' ? {} : answer;
  return {
    ordering: {
      maxWaitMs: positive(`${name}.answer.maxWait`, maxWait),
      maxDriftMs: positive(`${name}.answer.maxDrift`, maxDrift),
    },
  };
}

function positive(path: string, duration: string): number {
  if (durationMs(duration) === 0) throw definitionError(path, 'must be longer than nothing');
  return durationMs(duration);
}

function atLeastOne(path: string, count: number): number {
  if (Number.isSafeInteger(count) && count >= 1) return count;
  throw definitionError(path, `${count} is not a whole number of at least 1`, { value: count });
}

/** Steps of a canary: each serves more than the one before. */
function sharesOf(path: string, shares: readonly number[]): readonly number[] {
  const rising = shares.every((share, at) => share > (shares[at - 1] ?? 0) && share <= 1);
  if (rising && shares.length > 0) return shares;
  throw definitionError(path, `${JSON.stringify(shares)} do not rise from above 0 to at most 1`, { value: shares });
}

function budget(path: string, text: string): { count: number; perMs: number } {
  const match = /^(\d+) per (\S+)$/.exec(text);
  if (match === null) throw definitionError(path, `${JSON.stringify(text)} is not like "3 per 7d"`, { value: text });
  return { count: Number(match[1]), perMs: positive(path, match[2] as string) };
}

/**
 * Gradient-boosted trees by XGBoost.
 *
 * @param options.treeMethod default `hist`; `exact` finds better splits where positives are few.
 * @param options.baseScore default: estimated by XGBoost from the labels.
 * @param options.segmentRounds rounds between two checkpoints, default 25.
 */
export function xgboost(options: {
  readonly rounds: number;
  readonly maxDepth: number;
  readonly learningRate: number;
  readonly treeMethod?: 'exact' | 'hist' | 'approx';
  readonly baseScore?: number;
  readonly seed?: number;
  readonly segmentRounds?: number;
}): TrainerSpec {
  return {
    kind: 'xgboost',
    rounds: atLeastOne('xgboost.rounds', options.rounds),
    maxDepth: atLeastOne('xgboost.maxDepth', options.maxDepth),
    learningRate: options.learningRate,
    treeMethod: options.treeMethod ?? 'hist',
    baseScore: options.baseScore ?? null,
    seed: options.seed ?? 0,
    segmentRounds: atLeastOne('xgboost.segmentRounds', options.segmentRounds ?? 25),
  };
}

/** Logistic regression on inputs standardised over the training rows. `l2`: strength of the penalty, default 1. */
export function logistic(
  options: { readonly l2?: number; readonly maxIterations?: number; readonly seed?: number } = {},
): TrainerSpec {
  return {
    kind: 'logistic',
    l2: options.l2 ?? 1,
    maxIterations: options.maxIterations ?? 200,
    seed: options.seed ?? 0,
  };
}

/** The metric must be at least `bound`. */
export function atLeast(metric: MetricName, bound: number): AbsoluteGate {
  return { kind: 'atLeast', metric, bound };
}

/** The expected calibration error (ten bins) must be at most `bound`. */
export function calibrated(bound: number): AbsoluteGate {
  return { kind: 'atMost', metric: 'calibration_error', bound };
}

/** The candidate must not be worse than the champion by `margin` or more. */
export function notWorse(metric: ComparativeGate['metric'], options: { readonly margin: number }): ComparativeGate {
  if (!(options.margin > 0)) throw definitionError('notWorse.margin', `${options.margin} is not above 0`);
  return { kind: 'notWorse', metric, margin: options.margin };
}

/** The candidate must be better than the champion. */
export function superior(metric: ComparativeGate['metric']): ComparativeGate {
  return { kind: 'superior', metric, margin: 0 };
}

/** Decision and fallback rules; the first condition that is true decides. */
export function rules(): RuleBuilder {
  return new RuleBuilder([]);
}

class RuleBuilder {
  constructor(private readonly list: DecisionRules['rules']) {}

  block(when: BoolExpression): RuleBuilder {
    return this.when(when, 'block');
  }
  review(when: BoolExpression): RuleBuilder {
    return this.when(when, 'review');
  }
  when(when: BoolExpression, decision: string): RuleBuilder {
    return new RuleBuilder([...this.list, { when: when.node, decision }]);
  }
  /** The decision where no rule holds. */
  otherwise(decision: string): DecisionRules {
    return { rules: this.list, otherwise: decision };
  }
  /** Score without a model. */
  score(score: NumberExpression): FallbackRules {
    return { score: score.node };
  }
}
