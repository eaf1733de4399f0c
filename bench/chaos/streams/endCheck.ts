import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import type { ArchiveManifestRecord } from '../../../contracts/records.js';
import { archiveTopic } from '../../../contracts/topics.js';
import type { Scorer } from '../../../scoring/scorer.js';
import type { Log } from '../../../stores/log/log.js';
import type { Topology } from '../../../streams/runtime/topology.js';
import { archivedTopics } from '../../../streams/topologies/archive/archivedTopics.js';
import { materializeTopology } from '../../../streams/topologies/materialize/materializeTopology.js';
import { outcomeTopology } from '../../../streams/topologies/outcome/outcomeTopology.js';
import { scoreTopology } from '../../../streams/topologies/score/scoreTopology.js';
import { compareOutcomes } from '../../../testing/invariants/outcomes.js';
import { groupsCaughtUp } from './logProgress.js';
import { shopReturns, spending } from './project.js';
import type { FaultResult, Stage } from './stage.js';
import { compareState } from './stateCheck.js';
import { MODEL, PARTITIONS, STANDING, type StreamCluster } from './streamCluster.js';

/**
 * What is left behind at the end of a run, all of it: every key of the online store; the state of every task, which is
 * what a replay of the log gives; an outcome for every label; every record in exactly one archived range.
 */
export async function checkEnd(stage: Stage, say: (text: string) => void): Promise<FaultResult> {
  const begun = performance.now();
  const { cluster } = stage;
  const findings: string[] = [];
  const find = (text: string): void => void findings.push(text);
  await stage.settled();
  const verdict = await stage.ledger.close();
  const online = await stage.checkOnline(null);
  online.findings.forEach(find);
  await sideCaughtUp(cluster, find);
  const stops = STANDING.map(async (name) => {
    const worker = cluster.worker(name);
    await worker.stop();
    if (worker.exitCode !== 0) find(`${name} was asked to stop and ended with ${worker.exitCode ?? worker.endedBy}`);
  });
  await Promise.all(stops);

  let [tasks, entries] = [0, 0];
  for (const topology of topologiesOf(cluster)) {
    const compared = await compareState(cluster, topology, find);
    tasks += compared.tasks;
    entries += compared.entries;
  }
  const labels = cluster.topics.returns;
  const outcomes = await compareOutcomes(
    cluster.log,
    cluster.configuration.project,
    MODEL,
    stage.liveFrom(labels),
    find,
  );
  const archived = await compareArchive(cluster.log, cluster.configuration.project, find);
  say(`  ${tasks} tasks with ${entries} entries, ${outcomes} outcomes, ${archived} archived records`);
  if (Math.min(tasks, entries, outcomes, archived) === 0) find('something that there had to be was not there');
  return {
    fault: 'the end: everything that is left behind',
    records: verdict.records,
    lost: verdict.lost,
    repeated: verdict.repeated,
    wrong: verdict.wrong + findings.length,
    recoverySeconds: null,
    vectors: verdict.vectors,
    onlineKeys: online.keys,
    seconds: Math.round((performance.now() - begun) / 100) / 10,
    problems: [...verdict.findings, ...findings].slice(0, 20),
  };
}

/** The topologies whose state is compared, as the workers built them. */
function topologiesOf({ configuration: { project }, online: store }: StreamCluster): Topology[] {
  const common = { project, generation: 1, partitions: PARTITIONS };
  // A replay scores nothing.
  const scorer = {} as Scorer;
  return [
    scoreTopology({ ...common, model: MODEL, scorer }),
    ...[spending, shopReturns].map(({ compiled: view }) => materializeTopology({ ...common, view, store })),
    outcomeTopology({ ...common, model: MODEL }),
  ];
}

/** Waits until outcomes and archive have read what there is. */
async function sideCaughtUp(cluster: StreamCluster, find: (text: string) => void): Promise<void> {
  const late = await groupsCaughtUp(cluster, [`outcome.${MODEL.name}`, `archive.${MODEL.name}`], 60_000);
  if (late !== null) find(late);
}

/** Every record of every archived topic is in exactly one range of a manifest. Returns how many records there are. */
async function compareArchive(log: Log, project: string, find: (text: string) => void): Promise<number> {
  const ranges = new Map<string, ArchiveManifestRecord[]>();
  for (const manifest of (await readTopic(log, archiveTopic(project))).map((each) =>
    jsonOf<ArchiveManifestRecord>(each),
  )) {
    const name = `${manifest.topic}/${manifest.partition}`;
    ranges.set(name, [...(ranges.get(name) ?? []), manifest]);
  }
  for (const [name, found] of ranges) {
    found.sort((a, b) => a.first - b.first);
    for (const [at, { first }] of found.entries()) {
      const before = found[at - 1];
      if (before !== undefined && before.last >= first) find(`${name}: archived ranges overlap at ${first}`);
    }
  }
  let records = 0;
  for (const { topic } of archivedTopics(project, MODEL)) {
    for (const { partition, offset } of await readTopic(log, topic)) {
      records++;
      const holder = ranges.get(`${topic}/${partition}`)?.findLast(({ first }) => first <= offset);
      if (holder === undefined || holder.last < offset) find(`${topic}-${partition} offset ${offset} is not archived`);
    }
  }
  return records;
}
