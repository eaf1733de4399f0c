import { duplicatesTopic, hopTopic, lateTopic, streamTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import type { CompiledField } from '../../../features/compiledView.js';
import type { CompiledWindows } from '../../../features/compiledWindows.js';
import type { Topology } from '../../runtime/topology.js';
import { CollectTask } from './collectTask.js';
import { SplitTask } from './splitTask.js';
import { planWindows } from './windowPlan.js';
import { WindowTask } from './windowTask.js';

/**
 * Windows over a stream, by key. Where the topic is keyed as they are, one task does all; otherwise events hop once:
 *
 *   stream ─▶ window ─▶ results
 *   stream ─▶ split ──hop (by key)──▶ collect ─▶ results
 *
 * @param options.partitions of the stream's topic; every topic of the topology has as many.
 * @param options.setsAside are broken, late and repeated records set aside here? False where another topology does it.
 */
export function windowTopology(options: {
  readonly project: string;
  readonly windows: CompiledWindows;
  readonly generation: number;
  readonly partitions: number;
  readonly setsAside: boolean;
}): Topology {
  const { project, windows, generation, partitions } = options;
  const plan = planWindows(options);
  const identity: TopologyIdentity = { project, name: `window.${windows.name}`, generation };
  const stream = streamTopic(project, windows.stream.name);
  const isKeyed = windows.key === windows.stream.topicKey;
  const hop = hopTopic(identity, (windows.stream.fields[windows.key] as CompiledField).name);
  const aside = options.setsAside ? [lateTopic(project), duplicatesTopic(project)] : [];
  const outputs = [...(isKeyed ? [] : [hop]), streamTopic(project, windows.to), ...aside];
  return {
    identity,
    sources: [stream, ...(isKeyed ? [] : [hop])].map((topic) => ({ topic, start: 'earliest' })),
    outputs: outputs.map((topic) => ({ topic, partitions })),
    taskOf: ({ topic, partition }) =>
      isKeyed ? `window-${partition}` : topic === hop ? `collect-${partition}` : `split-${partition}`,
    createTask: (id, [first]) => {
      if (first === undefined) throw new Error(`invariant broken: task ${id} has no inputs`);
      if (isKeyed) return new WindowTask(plan);
      return first.topic === hop ? new CollectTask(plan) : new SplitTask(plan, hop, first.partition);
    },
  };
}
