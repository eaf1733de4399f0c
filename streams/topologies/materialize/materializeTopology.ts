import { randomUUID } from 'node:crypto';
import { TidemillError } from '../../../contracts/errors.js';
import { correctionsTopic, streamTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import type { CompiledField, CompiledView } from '../../../features/compiledView.js';
import type { OnlineStore } from '../../../stores/online/onlineStore.js';
import type { Topology } from '../../runtime/topology.js';
import { MaterializeTask } from './materializeTask.js';

export interface MaterializeOptions {
  readonly project: string;
  readonly view: CompiledView;
  /** Names its group where another definition of the view has its name. @default the view's name */
  readonly name?: string;
  readonly generation: number;
  /** Of the view's stream. */
  readonly partitions: number;
  readonly store: OnlineStore;
  /** Told when the store goes away, and null when it is back. */
  readonly onProblem?: (problem: string | null) => void;
  /** Wall clock of the marks. @default Date.now */
  readonly nowMs?: () => number;
}

/**
 * Keeps the online store at the state of a view. One topology a view: models that share it share its tasks.
 *
 *   stream ──────┐
 *                ├─ fold ─ commit ─▶ changed keys, coalesced over the commit interval ─▶ online store
 *   corrections ─┘
 *
 * Late events are left out, as they are in scoring; an event that was missed comes back by way of the topic of corrections,
 * where nothing is late. A new generation reads the stream from its start and takes over when it has caught up.
 *
 * @throws TidemillError TOPOLOGY_UNSUPPORTED where the stream is not keyed by the view's entity.
 */
export function materializeTopology(options: MaterializeOptions): Topology {
  const { project, view, partitions } = options;
  if (view.stream.topicKey !== view.key) {
    const [by, topicKey] = [view.key, view.stream.topicKey].map((at) => (view.stream.fields[at] as CompiledField).name);
    throw new TidemillError(
      'TOPOLOGY_UNSUPPORTED',
      `view ${view.name} is keyed by ${by}, but its stream ${view.stream.name} by ${topicKey}: its state would be spread over all tasks`,
      { view: view.name, stream: view.stream.name, key: by, topicKey },
    );
  }
  const identity: TopologyIdentity = {
    project,
    name: `materialize.${options.name ?? view.name}`,
    generation: options.generation,
  };
  const corrections = correctionsTopic(project, view.name);
  return {
    identity,
    sources: [
      { topic: streamTopic(project, view.stream.name), start: 'earliest' },
      { topic: corrections, start: 'earliest' },
    ],
    outputs: [{ topic: corrections, partitions }],
    stages: [
      {
        name: view.name,
        does: 'folds events, and writes changed keys after each commit',
        reads: [streamTopic(project, view.stream.name), corrections],
        keeps: [`windows of ${view.name}`],
        uses: ['online store'],
        writes: [],
      },
    ],
    taskOf: ({ partition }) => `${view.name}-${partition}`,
    createTask: (id) => new MaterializeTask(options, Number(id.slice(id.lastIndexOf('-') + 1)), randomUUID()),
  };
}
