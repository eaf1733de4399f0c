import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AuditParts } from '../../activities/audit/recompute.js';
import type { PredictionRecord } from '../../contracts/records.js';
import { groupId, predictionsTopic } from '../../contracts/topics.js';
import { fraud } from '../../examples/fraud/project.js';
import type { CompiledService } from '../../features/compiledView.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Scorer } from '../../scoring/scorer.js';
import type { Log, OutgoingRecord } from '../../stores/log/log.js';
import { createMemoryLog } from '../../stores/log/memoryLog.js';
import { openDiskObjectStore } from '../../stores/objects/diskObjectStore.js';
import { openDuckdbStore } from '../../stores/offline/duckdbStore.js';
import type { OfflineStore } from '../../stores/offline/offlineStore.js';
import { initialiseGroup } from '../../streams/runtime/initialiseGroup.js';
import { runTopology } from '../../streams/runtime/runTopology.js';
import type { Topology } from '../../streams/runtime/topology.js';
import { archiveTopology } from '../../streams/topologies/archive/archiveTopology.js';
import { planScore } from '../../streams/topologies/score/scorePlan.js';
import { scoreTopology } from '../../streams/topologies/score/scoreTopology.js';
import { labelRecord, paymentRecord, payments, type Payment } from './payments.js';

const DAY = 86_400_000;
const HOUR = 3_600_000;
const PARTITIONS = 2;

/** A label that becomes known so long after its payment. */
export function labelAfter(project: string, payment: Payment, ms: number): OutgoingRecord {
  return labelRecord(project, { ...payment, at: payment.at - 7 * DAY + ms });
}

/**
 * The fraud model served by its real topology on a log in memory, step by step: what is sent before requests are served is
 * known to them, what is sent afterwards was in flight.
 */
export class ServedWorld {
  readonly project = 'world';
  readonly model: CompiledModel = fraud.compiled;
  /** What every prediction says of who served it. */
  scored: Pick<PredictionRecord, 'version' | 'role' | 'epoch' | 'others'> = {
    version: 1,
    role: 'champion',
    epoch: 1,
    others: [],
  };

  /** What the version that serves reads, and what is computed besides. */
  serving: CompiledService = fraud.compiled.service;
  computed: readonly CompiledService[] = [];

  private constructor(
    readonly log: Log,
    readonly offline: OfflineStore,
    private readonly folder: string,
  ) {}

  static async start(): Promise<ServedWorld> {
    const folder = await mkdtemp(join(tmpdir(), 'tidemill-served-'));
    const log = createMemoryLog({ clock: () => Date.parse('2026-01-01') });
    const world = new ServedWorld(log, await openDuckdbStore({ threads: 1 }), folder);
    await log.ensureTopics(
      ['transactions', 'fraud-labels'].map((name) => ({ topic: `world.${name}`, partitions: PARTITIONS })),
    );
    await initialiseGroup(log, world.score, 'start');
    await initialiseGroup(log, world.archiving, 'start');
    return world;
  }

  get parts(): AuditParts {
    const { log, offline, project } = this;
    return { log, offline, project, objects: openDiskObjectStore(join(this.folder, 'objects')) };
  }

  private get score(): Topology {
    const scorer = {
      serviceOf: () => this.serving,
      score: async (_vectors: Float64Array, rows: number) =>
        Array.from({ length: rows }, () => {
          return { ...this.scored, score: 0.1, decision: 'allow', arm: 'champion' as const, micros: 10 };
        }),
    } as Partial<Scorer> as Scorer;
    const { project, model, computed: services } = this;
    const plan = planScore(model, { services });
    return scoreTopology({ project, model, plan, generation: 1, partitions: PARTITIONS, scorer });
  }

  private get archiving(): Topology {
    const { project, model, offline, log } = this;
    const { objects } = this.parts;
    return archiveTopology({ project, model, generation: 1, partitions: PARTITIONS, log, offline, objects });
  }

  async send(records: readonly OutgoingRecord[]): Promise<void> {
    const producer = await this.log.producer();
    await producer.send(records);
    await producer.close();
  }

  /** Sends payments and labels, and waits until everything is served. */
  async serve(sent: readonly OutgoingRecord[]): Promise<void> {
    await this.send(sent);
    await this.run(this.score);
  }

  /** Archives everything that is there. */
  async archive(): Promise<void> {
    await this.run(this.archiving);
  }

  private async run(topology: Topology): Promise<void> {
    const fatal: unknown[] = [];
    const running = await runTopology(topology, {
      log: this.log,
      instance: 'one',
      directory: join(this.folder, topology.identity.name),
      commitIntervalMs: 5,
      onFatal: (error) => fatal.push(error),
    });
    while (fatal.length === 0 && !(await this.isDone(topology))) await sleep(10);
    await running.stop();
    if (fatal.length > 0) throw fatal[0] as Error;
  }

  private async isDone({ identity, sources }: Topology): Promise<boolean> {
    for (const { topic } of sources) {
      if ((await this.log.partitionCount(topic)) === null) return false;
      const ends = await this.log.offsets(topic);
      const committed = await this.log.committed(
        groupId(identity),
        ends.map(({ partition }) => ({ topic, partition })),
      );
      if (ends.some(({ high }, at) => (committed[at]?.offset ?? 0) < high)) return false;
    }
    return true;
  }

  /** So many payments from a time on, one every minute; the first of several ids. */
  payments(count: number, firstId: number, from: number): Payment[] {
    return payments(count, { seed: firstId + 1, firstId, from, everyMs: 60_000 });
  }

  /**
   * Payments and labels long enough after a time that everything before it is final, in every partition. They are served
   * under another deployment.
   */
  async finish(after: number): Promise<void> {
    this.scored = { ...this.scored, epoch: this.scored.epoch + 1 };
    const last = this.payments(40, 900_000, after + 5 * HOUR);
    await this.serve([
      ...last.map((each) => labelAfter(this.project, each, 0)),
      ...last.map((each) => paymentRecord(this.project, each)),
    ]);
  }

  async predictions(): Promise<PredictionRecord[]> {
    const topic = predictionsTopic(this.project, this.model.name);
    const found: PredictionRecord[] = [];
    for (const { partition, low, high } of await this.log.offsets(topic)) {
      for await (const batch of this.log.read({ topic, partition, from: low, to: high }))
        for (const { value } of batch) found.push(JSON.parse(String(value)) as PredictionRecord);
    }
    return found;
  }

  async stop(): Promise<void> {
    await this.offline.close();
    await rm(this.folder, { recursive: true });
  }
}
