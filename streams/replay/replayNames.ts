import { deadLetterTopic, topologyPrefix } from '../../contracts/topics.js';
import type { Topology } from '../runtime/topology.js';

/** Is a topic one of a generation's own, which no other generation sees? */
export function isInternal(topic: string, { identity }: Topology): boolean {
  return topic.startsWith(`${topologyPrefix(identity)}.`);
}

/** Where a replayed generation writes what the running one writes to `topic`: `shop.window.spend.g2.out.customer-spend`. */
export function replayTopic(topology: Topology, topic: string): string {
  if (isInternal(topic, topology)) return topic;
  return `${topologyPrefix(topology.identity)}.out.${topic.slice(topology.identity.project.length + 1)}`;
}

/** What a generation writes for others to read, dead letters included. */
export function outputsOf(topology: Topology): string[] {
  const { outputs, identity } = topology;
  const topics = outputs.map(({ topic }) => topic).filter((topic) => !isInternal(topic, topology));
  return [...new Set([...topics, deadLetterTopic(identity.project)])];
}

/** Input of a topology that other topologies or users fill. */
export function inputsOf(topology: Topology): Topology['sources'] {
  return topology.sources.filter(({ topic }) => !isInternal(topic, topology));
}
