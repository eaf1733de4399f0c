import {
  hopTopic,
  outcomesTopic,
  predictionsTopic,
  streamTopic,
  type TopologyIdentity,
} from '../../../contracts/topics.js';
import type { CompiledModel } from '../../../models/definition.js';
import type { Topology } from '../../runtime/topology.js';
import { JoinTask } from './joinTask.js';
import { SplitTask } from './splitTask.js';

/**
 * Joins predictions and labels of a model by event id. Neither topic is keyed by the id, so both hop first:
 *
 *   predictions ─┐
 *                ├─ split ──hop (by id)──▶ join ─▶ outcomes
 *   labels ──────┘
 *
 * Labels that came before the topology's start are history and are not joined.
 */
export function outcomeTopology(options: {
  readonly project: string;
  readonly model: CompiledModel;
  readonly generation: number;
  readonly partitions: number;
}): Topology {
  const { project, model, partitions } = options;
  const identity: TopologyIdentity = { project, name: `outcome.${model.name}`, generation: options.generation };
  const hop = hopTopic(identity, 'event');
  const labels = streamTopic(project, model.label.stream.name);
  return {
    identity,
    sources: [
      { topic: labels, start: 'stored' },
      { topic: predictionsTopic(project, model.name), start: 'earliest' },
      { topic: hop, start: 'earliest' },
    ],
    outputs: [hop, predictionsTopic(project, model.name), outcomesTopic(project, model.name)].map((topic) => ({
      topic,
      partitions,
    })),
    stages: [
      {
        name: 'split',
        does: 'sends predictions and labels on by event id',
        reads: [predictionsTopic(project, model.name), labels],
        keeps: [],
        writes: [hop],
      },
      {
        name: 'join',
        does: 'joins each prediction with its label',
        reads: [hop],
        keeps: ['predictions and labels that wait'],
        writes: [outcomesTopic(project, model.name)],
      },
    ],
    taskOf: ({ topic, partition }) => (topic === hop ? `join-${partition}` : `split-${partition}`),
    createTask: (id) => {
      if (id.startsWith('join')) return new JoinTask(project, model, partitions);
      return new SplitTask(model, labels, hop, partitions, Number(id.slice('split-'.length)));
    },
  };
}
