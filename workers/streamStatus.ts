import { parseArgs } from 'node:util';
import type { TopologyProgress } from '../contracts/topologyProgress.js';
import { groupId } from '../contracts/topics.js';
import type { Log } from '../stores/log/log.js';
import type { Topology } from '../streams/runtime/topology.js';
import { answer } from './answer.js';
import { askWorkers, type TaskReport } from './askWorkers.js';
import { inspectTopologies } from './inspectTopologies.js';
import { topologyNames } from './topologies.js';

/**
 * Prints how far topologies of a model have come, one JSON array of TopologyProgress; starts none of them. Offsets come from
 * the broker, owners from the group, and what tasks are doing from the workers, where they can be reached. Errors are one JSON
 * object on standard error.
 *
 *   node dist/workers/streamStatus.js --topologies score --model fraud
 */
async function main(): Promise<TopologyProgress[]> {
  const { values } = parseArgs({
    options: { topologies: { type: 'string', default: 'score' }, model: { type: 'string' } },
  });
  const names = topologyNames(values.topologies);
  return inspectTopologies(values.model, 'stream-status', async ({ log, topologies }) => {
    const rows: TopologyProgress[] = [];
    for (const name of names) {
      for (const topology of await topologies(name)) rows.push(...(await progressOf(log, topology)));
    }
    return rows;
  });
}

async function progressOf(log: Log, topology: Topology): Promise<TopologyProgress[]> {
  const { identity, sources } = topology;
  const group = groupId(identity);
  const reports = await askWorkers(group, await log.groupMembers(group));
  const now = Date.now();
  const rows: TopologyProgress[] = [];
  for (const { topic } of sources) {
    // A topic that the topology has yet to create has nothing to be behind of.
    if ((await log.partitionCount(topic)) === null) continue;
    const ends = await log.offsets(topic);
    const known = await log.committed(
      group,
      ends.map(({ partition }) => ({ topic, partition })),
    );
    for (const [at, { partition, high }] of ends.entries()) {
      const committed = known[at]?.offset ?? null;
      const { owner, state, restored, watermark, notes } = reports(topic, partition) ?? NOBODY;
      rows.push({
        topology: identity.name,
        generation: identity.generation,
        group,
        topic,
        partition,
        committed,
        end: high,
        lag: committed === null ? null : Math.max(0, high - committed),
        task: topology.taskOf({ topic, partition }),
        owner,
        state,
        restored,
        watermark,
        watermarkDelayMs: watermark === null ? null : now - watermark,
        notes,
      });
    }
  }
  return rows;
}

const NOBODY: TaskReport = { owner: null, state: 'unassigned', restored: null, watermark: null, notes: [] };

await answer(main);
