import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import { expect } from 'vitest';
import { awaitCorrections } from '../../activities/healing/awaitCorrections.js';
import { healPart } from '../../activities/healing/healPart.js';
import { planHealing } from '../../activities/healing/planHealing.js';
import type { StreamSource } from '../../activities/healing/streamPart.js';
import { readTopic } from '../../activities/audit/readTopic.js';
import type { HealedPart, HealInput, HealPlan } from '../../contracts/healing.js';
import { correctionsTopic } from '../../contracts/topics.js';
import { customerSpending } from '../../examples/fraud/project.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { Log, LogProducer } from '../../stores/log/log.js';
import { FeatureReader } from '../../stores/online/featureReader.js';
import type { OnlineStore } from '../../stores/online/onlineStore.js';
import { runTopology, type RunningTopology } from '../../streams/runtime/runTopology.js';
import { materializeTopology } from '../../streams/topologies/materialize/materializeTopology.js';
import { eventsInLog, interpreted } from './materialized.js';
import { paymentRecord, type Payment } from './payments.js';

const view = customerSpending.compiled;
const PARTITIONS = 2;

export interface HealingServers {
  readonly log: Log;
  readonly store: OnlineStore;
  /** For the topology's own files. */
  readonly folder: string;
}

/** A stream of payments, and a topology that keeps a view of it in the online store. */
export class HealingWorld {
  private running: RunningTopology | null = null;
  private readonly fatal: unknown[] = [];

  private constructor(
    private readonly servers: HealingServers,
    readonly project: string,
    private readonly producer: LogProducer,
  ) {}

  static async create(servers: HealingServers, project: string): Promise<HealingWorld> {
    const { log } = servers;
    await log.ensureTopics([{ topic: `${project}.transactions`, partitions: PARTITIONS }]);
    return new HealingWorld(servers, project, await log.producer());
  }

  async send(all: readonly Payment[]): Promise<void> {
    await this.producer.send(all.map((each) => paymentRecord(this.project, each)));
  }

  async start(): Promise<void> {
    const { log, store } = this.servers;
    this.running = await runTopology(
      materializeTopology({ project: this.project, view, generation: 1, partitions: PARTITIONS, store }),
      {
        log,
        instance: 'one',
        directory: join(this.servers.folder, this.project),
        commitIntervalMs: 20,
        onFatal: (error) => this.fatal.push(error),
      },
    );
  }

  async caughtUp(): Promise<void> {
    const identity = { project: this.project, name: view.name, hash: view.hash };
    for (;;) {
      const ends = await this.servers.log.offsets(`${this.project}.transactions`);
      const marks = await this.servers.store.marks(identity, 1);
      const isThere = ends.every(({ partition, high }) => (marks.get(partition)?.offset ?? -1) >= high);
      if (isThere && (await this.servers.store.serving(identity)) === 1) return;
      if (this.fatal.length > 0) throw this.fatal[0] as Error;
      await sleep(20);
    }
  }

  /** The late events that the view still keeps, and those that it does not. */
  async lateEvents(): Promise<{ kept: LoggedEvent[]; forgotten: LoggedEvent[] }> {
    const { late } = await eventsInLog(this.servers.log, this.project, view);
    const marks = await this.servers.store.marks({ project: this.project, name: view.name, hash: view.hash }, 1);
    const isKept = ({ partition, time }: LoggedEvent): boolean =>
      time > (marks.get(partition)?.watermark ?? 0) - view.keepMs;
    return { kept: late.filter(isKept), forgotten: late.filter((each) => !isKept(each)) };
  }

  /** Keys whose values in the store are not those of all events, late ones among them. */
  async differing(): Promise<Value[]> {
    const { byKey, late, newest } = await eventsInLog(this.servers.log, this.project, view);
    for (const event of late) {
      const key = event.values[view.key] as Value;
      byKey.set(key, [...(byKey.get(key) ?? []), event]);
    }
    const keys = [...byKey.keys()];
    const reader = new FeatureReader({ project: this.project, view, store: this.servers.store });
    const found = await reader.read(keys, newest);
    return keys.filter((key, at) => {
      const values = found[at]?.features.map(({ value }) => value);
      return JSON.stringify(values) !== JSON.stringify(interpreted(view, byKey.get(key) ?? [], newest).values);
    });
  }

  private get source(): StreamSource {
    const nothing = { reach: (_: unknown, to: number) => Promise.resolve({ from: to, lost: null }), read: noRecords };
    return { log: this.servers.log, project: this.project, stream: view.stream, archive: nothing };
  }

  plan(input: Omit<HealInput, 'view'> = {}): Promise<HealPlan> {
    return planHealing(this.source, view, this.servers.store, { view: view.name, ...input });
  }

  async carryOut({ source, parts }: HealPlan, reach?: (point: string) => void): Promise<HealedPart[]> {
    const healed: HealedPart[] = [];
    for (const part of parts.flat()) {
      const healing = { source: this.source, view, store: this.servers.store, checkpoint: () => Promise.resolve() };
      healed.push(await healPart({ ...healing, ...(reach === undefined ? {} : { reach }) }, source, part, null));
    }
    return healed;
  }

  awaitIn({ corrections }: HealPlan, stallMs?: number): ReturnType<typeof awaitCorrections> {
    return awaitCorrections(
      {
        log: this.servers.log,
        project: this.project,
        view,
        store: this.servers.store,
        checkpoint: () => Promise.resolve(),
        ...(stallMs === undefined ? {} : { stallMs }),
      },
      corrections,
    );
  }

  async corrections(): Promise<string[]> {
    const records = await readTopic(this.servers.log, correctionsTopic(this.project, view.name));
    return records.map(({ value }) => value?.toString() ?? '');
  }

  async stopTopology(): Promise<void> {
    await this.running?.stop();
    this.running = null;
  }

  async stop(): Promise<void> {
    await this.stopTopology();
    await this.producer.close();
    expect(this.fatal).toEqual([]);
  }
}

async function* noRecords(): AsyncIterable<never[]> {
  yield [];
}
