import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom, type RandomNumbers } from '../../../models/statistics/random.js';
import type { OutgoingRecord } from '../../../stores/log/log.js';
import { Ledger, type Verdict } from './ledger.js';
import { Load } from './load.js';
import { checkOnline } from './onlineCheck.js';
import { MODEL, PARTITIONS, StreamCluster } from './streamCluster.js';
import type { Scene, StreamFault } from './streamFault.js';
import { shopReturns, spending } from './project.js';
import { Watch } from './watch.js';

/** Event time at which a run begins. */
const START = Date.parse('2026-01-01T00:00:00Z');
/** Records before anything is live: they only build the state. */
const HISTORY = 12_000;
/** Records of a fault at least, and how fast they are sent; where the fault lasts longer, more come slowly. */
const SLICE = 6_800;
const RATE = 1_700;
const SLOW_RATE = 300;
const BATCH = 100;
/** Without any progress for so long, what is open is lost. */
const PATIENCE_MS = 60_000;
/** Time for an answer that comes once more. */
const QUIET_MS = 300;
/** Keys of each view that are read from the online store after each fault. */
const ONLINE_SAMPLE = 60;

/** What a fault came to. */
export interface FaultResult {
  readonly fault: string;
  readonly records: number;
  readonly lost: number;
  readonly repeated: number;
  readonly wrong: number;
  /** From the fault to the first new committed prediction of what it affected; null where nothing was affected. */
  readonly recoverySeconds: number | null;
  readonly vectors: number;
  readonly onlineKeys: number;
  readonly seconds: number;
  readonly problems: readonly string[];
}

/** The cluster with its load and its account of it. */
export class Stage {
  private readonly random: RandomNumbers;
  /** What recovery is waited for; null where it has come, or nothing was struck. */
  private struck: { readonly at: number; readonly from: ReadonlyMap<number, number> } | null = null;
  private recoveryMs: number | null = null;
  private watch: Watch | null = null;

  private constructor(
    readonly cluster: StreamCluster,
    readonly ledger: Ledger,
    private readonly load: Load,
    private readonly say: (text: string) => void,
    private readonly live: ReadonlyMap<string, ReadonlyMap<number, number>>,
    seed: number,
  ) {
    this.random = seededRandom(seed + 1);
  }

  static async set(seed: number, say: (text: string) => void): Promise<Stage> {
    say('servers');
    const cluster = await StreamCluster.start(seed);
    try {
      const load = new Load(cluster.configuration.project, seed, START);
      say('history');
      const history = load.take(HISTORY);
      for (let at = 0; at < history.length; at += 1_000) await cluster.producer.send(history.slice(at, at + 1_000));
      await cluster.initialise();
      const liveFrom = new Map<string, ReadonlyMap<number, number>>();
      for (const topic of [cluster.topics.requests, cluster.topics.returns]) {
        const ends = await cluster.log.offsets(topic);
        liveFrom.set(topic, new Map(ends.map(({ partition, high }) => [partition, high])));
      }
      const ledger = new Ledger(cluster.configuration.project, MODEL, liveFrom);
      const stage = new Stage(cluster, ledger, load, say, liveFrom, seed);
      say('workers');
      await cluster.log.ensureTopics(ledger.topics.map((topic) => ({ topic, partitions: PARTITIONS })));
      await cluster.startStanding();
      await cluster.shared();
      stage.watch = await Watch.start(cluster.log, ledger.topics, (topic, records) => {
        for (const { source } of ledger.read(topic, records)) {
          const { struck } = stage;
          if (struck === null || source.offset < (struck.from.get(source.partition) ?? Number.POSITIVE_INFINITY))
            continue;
          stage.recoveryMs = performance.now() - struck.at;
          stage.struck = null;
        }
      });
      return stage;
    } catch (error) {
      await cluster.stop(true);
      throw error;
    }
  }

  /** First live offsets of a topic, by partition. */
  liveFrom(topic: string): ReadonlyMap<number, number> {
    return this.live.get(topic) ?? new Map<number, number>();
  }

  /** Makes a fault while a slice of the load comes in, waits until all is answered, and holds everything to account. */
  async play(fault: StreamFault): Promise<FaultResult> {
    const begun = performance.now();
    const { cluster, ledger } = this;
    const problems: string[] = [];
    this.recoveryMs = null;
    this.struck = null;
    let wasStruck = false;
    let over = false;
    let outside: Verdict | null = null;
    const scene: Scene = {
      cluster,
      load: this.load,
      random: this.random,
      say: this.say,
      struck: async (partitions = Array.from({ length: PARTITIONS }, (_, at) => at)) => {
        const at = performance.now();
        wasStruck = true;
        this.recoveryMs = null;
        this.struck = { at, from: await this.endsOf(partitions) };
      },
      settled: () => this.settled(),
    };
    await this.ready();
    const making = fault
      .run(scene)
      .then((verdict) => {
        outside = verdict ?? null;
      })
      .catch((error: unknown) => problems.push(textOf(error)))
      .finally(() => {
        over = true;
      });
    for (let sent = 0; sent < SLICE || !over || (this.struck !== null && sent < 3 * SLICE); sent += BATCH) {
      await this.send(this.load.take(BATCH));
      await sleep((BATCH / (sent < SLICE ? RATE : SLOW_RATE)) * 1_000);
    }
    await making;
    const { verdict, online } = await this.supervised(async () => {
      await this.settled();
      return { verdict: await ledger.close(), online: await this.checkOnline(ONLINE_SAMPLE) };
    });
    problems.push(...verdict.findings, ...online.findings);
    const theirs = outside as Verdict | null;
    if (theirs !== null) problems.push(...theirs.findings);
    if (wasStruck && this.recoveryMs === null) problems.push('nothing new was predicted after the fault');
    return {
      fault: `${fault.family}: ${fault.fault}`,
      records: verdict.records + (theirs?.records ?? 0),
      lost: verdict.lost + (theirs?.lost ?? 0),
      repeated: verdict.repeated + (theirs?.repeated ?? 0),
      wrong: verdict.wrong + (theirs?.wrong ?? 0) + online.findings.length,
      recoverySeconds: this.recoveryMs === null ? null : Math.round(this.recoveryMs / 10) / 100,
      vectors: verdict.vectors + (theirs?.vectors ?? 0),
      onlineKeys: online.keys,
      seconds: Math.round((performance.now() - begun) / 100) / 10,
      problems,
    };
  }

  /** @param sample keys of each view; all where null. */
  checkOnline(sample: number | null): ReturnType<typeof checkOnline> {
    const { log, online: store, configuration } = this.cluster;
    const { ledger, random } = this;
    const views = [spending.compiled, shopReturns.compiled];
    return checkOnline({ log, store, project: configuration.project, views, ledger, random, sample });
  }

  /** Waits until every record has ended, or nothing has moved for a while. */
  async settled(): Promise<void> {
    const { ledger } = this;
    let least = Number.POSITIVE_INFINITY;
    let movedAt = performance.now();
    for (;;) {
      await this.watch?.caughtUp();
      const { waiting } = ledger;
      if (waiting === 0) break;
      if (waiting < least) [least, movedAt] = [waiting, performance.now()];
      if (performance.now() - movedAt > PATIENCE_MS) return;
      await sleep(50);
    }
    await sleep(QUIET_MS);
    await this.watch?.caughtUp();
  }

  /** All standing workers run, and the scorers share their tasks; those that a fault before has left behind start anew. */
  private async ready(): Promise<void> {
    const { cluster } = this;
    await cluster.startStanding();
    await cluster.up();
    try {
      await cluster.shared();
    } catch {
      this.say('  the scorers do not come together: they are started anew');
      for (const name of ['score-1', 'score-2'] as const) await cluster.worker(name).kill();
      await cluster.startStanding();
      await cluster.shared();
    }
  }

  /** Does something while workers that end are started anew, as whoever runs them in earnest would. */
  private async supervised<T>(work: () => Promise<T>): Promise<T> {
    let done = false;
    const watching = (async () => {
      while (!done) {
        await this.cluster.startStanding();
        await sleep(500);
      }
    })();
    try {
      return await work();
    } finally {
      done = true;
      await watching;
    }
  }

  async clear(keep: boolean): Promise<void> {
    await this.watch?.stop().catch(() => undefined);
    await this.cluster.stop(keep);
  }

  private async send(records: readonly OutgoingRecord[]): Promise<void> {
    for (;;) {
      try {
        await this.cluster.producer.send(records);
        return;
      } catch {
        // Sent anew under the same sequence numbers or doubled: both are what real producers do.
        await sleep(200);
      }
    }
  }

  /** Where the partitions of the requests end, as far as a broker tells that may be gone. */
  private async endsOf(partitions: readonly number[]): Promise<ReadonlyMap<number, number>> {
    const { cluster } = this;
    for (;;) {
      try {
        const ends = await cluster.log.offsets(cluster.topics.requests);
        return new Map(partitions.map((at) => [at, ends.find(({ partition }) => partition === at)?.high ?? 0]));
      } catch {
        await sleep(100);
      }
    }
  }
}

function textOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
