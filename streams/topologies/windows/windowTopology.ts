import { formatDuration } from '../../../contracts/duration.js';
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
  const aside = options.setsAside ? [lateTopic(project), duplicatesTopic(project)] : [];
  const results = streamTopic(project, windows.to);
  const keyName = (windows.stream.fields[windows.key] as CompiledField).name;
  const hop = hopTopic(identity, keyName);
  const seen = windows.countsDuplicates ? [] : ['seen events'];
  const computes = `computes ${describeWindows(windows)} by ${keyName}`;
  const stages = isKeyed
    ? [{ name: 'window', does: computes, reads: [stream], keeps: ['windows', ...seen], writes: [results, ...aside] }]
    : [
        { name: 'split', does: `sends events on by ${keyName}`, reads: [stream], keeps: seen, writes: [hop, ...aside] },
        { name: 'collect', does: computes, reads: [hop], keeps: ['windows'], writes: [results, ...aside.slice(0, 1)] },
      ];
  return {
    identity,
    sources: [stream, ...(isKeyed ? [] : [hop])].map((topic) => ({ topic, start: 'earliest' })),
    outputs: [...(isKeyed ? [] : [hop]), results, ...aside].map((topic) => ({ topic, partitions })),
    stages,
    taskOf: ({ topic, partition }) =>
      isKeyed ? `window-${partition}` : topic === hop ? `collect-${partition}` : `split-${partition}`,
    createTask: (id, [first]) => {
      if (first === undefined) throw new Error(`invariant broken: task ${id} has no inputs`);
      if (isKeyed) return new WindowTask(plan);
      return first.topic === hop ? new CollectTask(plan) : new SplitTask(plan, hop, first.partition);
    },
  };
}

/** `tumbling windows of 1m`, `windows of 10m every 1m`, `sessions with a gap of 30m`. */
function describeWindows({ shape, emit }: CompiledWindows): string {
  const told = emit === 'onClose' ? 'told on close' : 'told on update';
  if (shape.kind === 'session') return `sessions with a gap of ${formatDuration(shape.gapMs)}, ${told},`;
  const length = formatDuration(shape.lengthMs);
  if (shape.lengthMs === shape.everyMs) return `tumbling windows of ${length}, ${told},`;
  return `windows of ${length} every ${formatDuration(shape.everyMs)}, ${told},`;
}
