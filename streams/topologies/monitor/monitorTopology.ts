import {
  driftTopic,
  outcomesTopic,
  predictionsTopic,
  reportsTopic,
  type TopologyIdentity,
} from '../../../contracts/topics.js';
import type { Topology } from '../../runtime/topology.js';
import { CountTask } from './countTask.js';
import { DetectTask } from './detectTask.js';
import { MergeTask } from './mergeTask.js';
import { planMonitor, type MonitorOptions } from './monitorPlan.js';

/**
 * Watches how the versions of a model do. What can be added is counted by partition and merged once a bucket of event time is
 * over; what depends on order, the series under the drift detector, goes on as rows:
 *
 *   predictions ─┐         ┌─ counts ─▶ merge  ─▶ reports
 *                ├─ count ─┤
 *   outcomes ────┘         └─ losses ─▶ detect ─▶ drift
 */
export function monitorTopology(options: MonitorOptions & { readonly generation: number }): Topology {
  const { project, model, partitions, generation } = options;
  const identity: TopologyIdentity = { project, name: `monitor.${model.name}`, generation };
  const plan = planMonitor(identity, options);
  const { counts, losses } = plan;
  const predictions = predictionsTopic(project, model.name);
  const outcomes = outcomesTopic(project, model.name);
  const [reports, drift] = [reportsTopic(project, model.name), driftTopic(project)];
  return {
    identity,
    sources: [predictions, outcomes, counts, losses].map((topic) => ({ topic, start: 'earliest' })),
    outputs: [
      ...[predictions, outcomes, reports, drift].map((topic) => ({ topic, partitions })),
      ...[counts, losses].map((topic) => ({ topic, partitions: 1 })),
    ],
    stages: [
      {
        name: 'count',
        does: 'counts predictions and outcomes of each partition',
        reads: [predictions, outcomes],
        keeps: ['open buckets', 'losses that wait'],
        writes: [counts, losses],
      },
      {
        name: 'merge',
        does: 'merges the counts of all partitions in one task and reports on each bucket',
        reads: [counts],
        keeps: ['counts that labels may still change'],
        writes: [reports],
      },
      {
        name: 'detect',
        does: 'looks for drift in the losses of all partitions in one task',
        reads: [losses],
        keeps: ['detectors'],
        writes: [drift],
      },
    ],
    taskOf: ({ topic, partition }) => (topic === counts ? 'merge' : topic === losses ? 'detect' : `count-${partition}`),
    createTask: (id) => {
      if (id === 'merge') return new MergeTask(plan);
      if (id === 'detect') return new DetectTask(plan);
      return new CountTask(plan, Number(id.slice('count-'.length)));
    },
  };
}
