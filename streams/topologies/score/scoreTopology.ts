import {
  cutsTopic,
  duplicatesTopic,
  hopTopic,
  lateTopic,
  predictionsTopic,
  progressTopic,
  streamTopic,
  type TopologyIdentity,
} from '../../../contracts/topics.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { Scorer } from '../../../scoring/scorer.js';
import type { TopicPartition } from '../../../stores/log/log.js';
import type { StreamTask, Topology } from '../../runtime/topology.js';
import { EntryTask } from './entryTask.js';
import { HopTask } from './hopTask.js';
import { HopWriter } from './hopWriter.js';
import { PredictionWriter } from './predictionWriter.js';
import { planScore, type ScorePlan, type Stage } from './scorePlan.js';

/** Rows scored together at most. */
const MICRO_BATCH_ROWS = 256;

/**
 * Request events -> features -> model -> predictions, for one model.
 *
 * Each input record ends as exactly one of: prediction, duplicate, late, dead letter.
 *
 * @param options.plan what is computed. @default the model's definition alone
 * @param options.partitions of the request topic; every input of the topology has as many.
 * @throws TidemillError TOPOLOGY_UNSUPPORTED
 */
export function scoreTopology(options: {
  readonly project: string;
  readonly model: CompiledModel;
  readonly plan?: ScorePlan;
  readonly generation: number;
  readonly partitions: number;
  readonly scorer: Scorer;
}): Topology {
  const { project, model, partitions, scorer } = options;
  const plan = options.plan ?? planScore(model);
  const identity: TopologyIdentity = { project, name: `score.${model.name}`, generation: options.generation };
  const requestTopic = streamTopic(project, plan.request.name);
  /** Input topics of a stage, its main one first. */
  const topicsOf = (stage: Stage, at: number): string[] => [
    at === 0 ? requestTopic : hopTopic(identity, stage.name),
    ...stage.streams.map(({ name }) => streamTopic(project, name)),
  ];
  const stageOf = new Map(plan.stages.flatMap((stage, at) => topicsOf(stage, at).map((topic) => [topic, at] as const)));
  // Rows reach the stage after the next by several ways, so what its windows count comes straight from the first.
  const fed = plan.stages.slice(2).filter(({ hasOwn }) => hasOwn);
  const hops = plan.stages.slice(1).map((stage) => hopTopic(identity, stage.name));
  const hopWriter = (stage: Stage): HopWriter =>
    new HopWriter(identity, plan.request, stage, partitions, stage.hasOwn || model.ordering !== undefined);
  const { ordering } = model;
  const drift =
    ordering === undefined || hops.length === 0
      ? undefined
      : { topic: progressTopic(identity), maxDriftMs: ordering.maxDriftMs };
  const output = (topic: string): { topic: string; partitions: number } => ({ topic, partitions });

  return {
    identity,
    sources: [...stageOf.keys()].map((topic) => ({
      topic,
      start: hops.includes(topic) ? 'earliest' : topic === requestTopic ? 'stored' : 'joining',
    })),
    outputs: [
      ...[
        ...hops,
        predictionsTopic(project, model.name),
        cutsTopic(project, model.name),
        lateTopic(project),
        duplicatesTopic(project),
      ].map(output),
      ...(drift === undefined ? [] : [{ topic: drift.topic, partitions: 1, compacted: true }]),
    ],
    drift,
    stages: plan.stages.map((stage, at) => {
      const next = plan.stages[at + 1];
      const answers = [predictionsTopic(project, model.name), cutsTopic(project, model.name)];
      const aside = [lateTopic(project), duplicatesTopic(project)];
      return {
        name: stage.name,
        does: `${at === 0 ? 'checks requests, ' : ''}adds the features of ${stage.name}${next === undefined ? ', scores' : ''}`,
        reads: topicsOf(stage, at),
        keeps: [...(at === 0 ? ['seen requests'] : []), ...stage.views.map(({ view }) => `windows of ${view.name}`)],
        writes: [
          ...(next === undefined ? answers : [hopTopic(identity, next.name)]),
          ...(at === 0 ? fed.map(({ name }) => hopTopic(identity, name)) : []),
          ...(at === 0 || stage.streams.length > 0 ? aside : []),
          ...(at === 0 && drift !== undefined ? [drift.topic] : []),
        ],
      };
    }),
    taskOf: ({ topic, partition }) => `${(plan.stages[stageOf.get(topic) ?? -1] as Stage).name}-${partition}`,
    // A group of workers with different plans may leave out what only some of them read.
    isWhole: (inputs) => {
      const [first] = inputs;
      const stage = first === undefined ? -1 : (stageOf.get(first.topic) ?? -1);
      return inputs.length === topicsOf(plan.stages[stage] as Stage, stage).length;
    },
    createTask: (id: string, inputs: readonly TopicPartition[]): StreamTask => {
      const [first] = inputs;
      if (first === undefined) throw new Error(`invariant broken: task ${id} has no inputs`);
      const stage = stageOf.get(first.topic) as number;
      const next = plan.stages[stage + 1];
      const writer =
        next === undefined ? new PredictionWriter(project, plan, scorer, MICRO_BATCH_ROWS) : hopWriter(next);
      const taskOptions = {
        identity,
        plan,
        stage,
        partition: first.partition,
        partitions,
        ordering: ordering ?? null,
      };
      const isLast = next === undefined;
      if (stage > 0) return new HopTask(taskOptions, writer, isLast);
      return new EntryTask(taskOptions, writer, isLast, fed.map(hopWriter));
    },
  };
}
