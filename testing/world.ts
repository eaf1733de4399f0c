import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DriftRecord } from '../contracts/records.js';
import { deploymentsTopic, streamTopic } from '../contracts/topics.js';
import type { CompiledModel } from '../models/definition.js';
import type { Project } from '../models/project.js';
import type { Scorer } from '../scoring/scorer.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import type { OfflineStore } from '../stores/offline/offlineStore.js';
import { openDuckdbStore } from '../stores/offline/duckdbStore.js';
import { openLmdbOnlineStore } from '../stores/online/lmdbOnlineStore.js';
import type { OnlineStore } from '../stores/online/onlineStore.js';
import type { Topology } from '../streams/runtime/topology.js';
import { scorerFor } from './scorers.js';
import type { TestStreamsOptions } from './options.js';
import { lagInOnlineStore } from './simulation/lag.js';
import { outside } from './simulation/outside.js';
import { Simulation } from './simulation/simulation.js';
import { testedTopologies } from './topologies.js';

/** Tasks commit after every turn, so that no time passes before an answer is there. */
const COMMIT_INTERVAL_MS = 0;
const SNAPSHOT_INTERVAL_MS = 5_000;
const SESSION_TIMEOUT_MS = 10_000;
const DEFAULT_START = '2026-01-01T00:00:00Z';

/** What a driver drives: the simulation, and everything outside of it that the topologies use. */
export interface World {
  readonly project: Project;
  readonly partitions: number;
  readonly simulation: Simulation;
  readonly topologies: readonly Topology[];
  readonly scorers: ReadonlyMap<string, Scorer>;
  /** Null where no topology writes it. */
  readonly online: OnlineStore | null;
  /** What the relay told the lifecycle, repeats included. */
  readonly signals: readonly DriftRecord[];
  close(): Promise<void>;
}

/** Opens what the chosen topologies need, and creates the topics of the project's streams. */
export async function openWorld(project: Project, options: TestStreamsOptions): Promise<World> {
  const names = options.topologies ?? ['score'];
  const partitions = options.partitions ?? 2;
  const needsFolder = names.includes('materialize') || names.includes('archive');
  const folder = needsFolder ? await mkdtemp(join(tmpdir(), 'tidemill-testing-')) : null;
  const startMs = typeof options.now === 'number' ? options.now : Date.parse(options.now ?? DEFAULT_START);
  const scorers = new Map(
    project.models.map((model: CompiledModel) => [model.name, scorerFor(model, options.models?.[model.name])]),
  );
  // The simulation asks for its topologies only when an instance starts.
  const topologies: Topology[] = [];
  const simulation = new Simulation(topologies, {
    startMs,
    commitIntervalMs: options.commitIntervalMs ?? COMMIT_INTERVAL_MS,
    snapshotIntervalMs: options.snapshotIntervalMs ?? SNAPSHOT_INTERVAL_MS,
    sessionTimeoutMs: SESSION_TIMEOUT_MS,
  });
  const { scheduler, faults, log } = simulation;
  const online =
    names.includes('materialize') && folder !== null ? openLmdbOnlineStore({ folder: join(folder, 'online') }) : null;
  const offline: OfflineStore | null = names.includes('archive') ? await openDuckdbStore({ threads: 1 }) : null;
  const objects = folder === null ? null : openDiskObjectStore(join(folder, 'objects'));
  const signals: DriftRecord[] = [];
  topologies.push(
    ...testedTopologies(names, {
      project,
      partitions,
      log,
      scorers: new Map([...scorers].map(([name, scorer]) => [name, outside(scheduler, scorer)])),
      online: online === null ? null : outside(scheduler, online, () => faults.checkOnlineStore()),
      offline: offline === null ? null : outside(scheduler, offline),
      objects: objects === null ? null : outside(scheduler, objects),
      nowMs: () => scheduler.now,
      onSignal: (drift) => void signals.push(drift),
    }),
    ...(options.more ?? []).map((create) => create({ project: project.id, partitions })),
  );
  await log.ensureTopics([
    ...project.streams.map(({ name }) => ({ topic: streamTopic(project.id, name), partitions })),
    ...(names.includes('archive') ? [{ topic: deploymentsTopic(project.id), partitions }] : []),
  ]);
  if (online !== null) {
    const materialized = project.views.flatMap((view) => {
      const topology = topologies.find(({ identity }) => identity.name === `materialize.${view.name}`);
      return topology === undefined ? [] : [{ view, topology }];
    });
    simulation.lagElsewhere = async () =>
      faults.isOnlineStoreAway ? [] : lagInOnlineStore(log, online, project.id, materialized);
  }
  return {
    project,
    partitions,
    simulation,
    topologies,
    scorers,
    online,
    signals,
    close: async () => {
      for (const scorer of scorers.values()) await scorer.close();
      await online?.close();
      await offline?.close();
      if (folder !== null) await rm(folder, { recursive: true, force: true });
    },
  };
}
