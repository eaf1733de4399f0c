import { isTidemillError, messageOf, TidemillError } from '../contracts/errors.js';
import type { DeploymentRecord } from '../contracts/records.js';
import { groupId, hopTopic, type TopologyIdentity } from '../contracts/topics.js';
import type { CompiledService } from '../features/compiledView.js';
import { missingInputs, viewIdentity } from '../features/vectorLayout.js';
import type { CompiledModel } from '../models/definition.js';
import type { Scorer } from '../scoring/scorer.js';
import { servicesOf, versionsInUse, type ServiceStores } from '../scoring/versionServices.js';
import type { Log } from '../stores/log/log.js';
import type { InstanceFeatures } from '../stores/registry/registry.js';
import type { FeatureHost } from '../streams/deployments/followDeployments.js';
import { runTopology, type RunningTopology } from '../streams/runtime/runTopology.js';
import type { RuntimeOptions } from '../streams/runtime/taskContext.js';
import { TopologyCounters } from '../streams/runtime/topologyCounters.js';
import { planScore, type ScorePlan } from '../streams/topologies/score/scorePlan.js';
import { scoreTopology } from '../streams/topologies/score/scoreTopology.js';

export interface ScoreHostOptions extends ServiceStores {
  readonly project: string;
  readonly model: CompiledModel;
  readonly generation: number;
  readonly partitions: number;
  readonly scorer: Scorer;
  /** Of the topology; `onFatal` gets what no other plan helps against. */
  readonly runtime: RuntimeOptions;
  /** What operators want to know. */
  readonly onNote: (text: string) => void;
}

/** Hops that rows of an earlier plan may still be on, by field of the request. */
export async function passingFields(log: Log, identity: TopologyIdentity, model: CompiledModel): Promise<number[]> {
  const fields: number[] = [];
  const topics = await log.topics(hopTopic(identity, ''));
  if (topics.length === 0) return fields;
  // Who runs now may have a plan with that hop, and go on to send rows there.
  const isShared = (await log.groupMembers(groupId(identity))).length > 0;
  for (const [field, { name }] of model.service.request.fields.entries()) {
    const topic = hopTopic(identity, name);
    if (!topics.includes(topic)) continue;
    const ranges = await log.offsets(topic);
    const places = ranges.map(({ partition }) => ({ topic, partition }));
    const committed = await log.committed(groupId(identity), places);
    if (isShared || ranges.some(({ low, high }, at) => (committed[at]?.offset ?? low) < high)) fields.push(field);
  }
  return fields;
}

/**
 * Runs a model's score topology over the features of every version in use, and plans it anew where a deployment names a
 * version that reads others: 1 the plan is made, from the registry; 2 the topology stops, which commits and writes
 * snapshots; 3 it starts with the new plan, and each task builds the views that its snapshot lacks.
 *
 * A view that cannot be built any more is left out with the services that read it: their versions do not score, which the
 * instance says, and all others do.
 */
export class ScoreHost implements FeatureHost {
  private readonly identity: TopologyIdentity;
  /** Of all plans: what was counted goes on. */
  private readonly counters: TopologyCounters;
  private readonly unavailable = new Map<string, string>();
  private plan: ScorePlan | null = null;
  private running: RunningTopology | null = null;
  private stopped = false;
  /** Changes of the plan, one after the other. */
  private turn: Promise<void> = Promise.resolve();
  /** Why a deployment waits. */
  private waiting: { readonly epoch: number; readonly problem: string; readonly isChampion: boolean } | null = null;
  private unreadable: readonly string[] = [];

  constructor(private readonly options: ScoreHostOptions) {
    const { project, model, generation } = options;
    this.identity = { project, name: `score.${model.name}`, generation };
    this.counters = new TopologyCounters(project);
  }

  async start(): Promise<void> {
    await this.inTurn(() => this.run([]));
  }

  async cover(deployment: DeploymentRecord): Promise<void> {
    const { champion, challenger, prepare, epoch } = deployment;
    const versions = [champion, challenger, prepare].filter((version) => version !== null);
    // Before the start: it reads the head itself.
    if (this.plan === null) return;
    const lacking = await this.lacking(versions);
    if (lacking.length === 0) return;
    const isChampion = champion !== null && (await this.lacking([champion])).length > 0;
    this.waiting = { epoch, problem: `epoch ${epoch} is planned for: ${lacking.join('; ')}`, isChampion };
    this.options.onNote(this.waiting.problem);
    await this.inTurn(() => this.run(versions));
    const left = await this.lacking(versions);
    if (left.length > 0) {
      this.waiting = { epoch, problem: left.join('; '), isChampion };
      throw new TidemillError('FEATURES_NOT_READY', `${this.options.model.name}: ${left.join('; ')}`, { epoch });
    }
    if (this.waiting?.epoch === epoch) this.waiting = null;
  }

  get features(): InstanceFeatures {
    const status = this.running?.status ?? [];
    const recovering = status.filter(({ state }) => state === 'recovering');
    return {
      views:
        this.plan === null ? [] : [...new Set(this.plan.layout.inputs.map(({ input }) => viewIdentity(input.view)))],
      tasks: status.length,
      recovering: this.running === null ? 1 : recovering.length,
      replayed: recovering.reduce((sum, { replayed }) => sum + replayed, 0),
    };
  }

  get problem(): string | null {
    return this.waiting?.problem ?? this.plan?.leftOut[0]?.problem ?? this.unreadable[0] ?? null;
  }

  get breaker(): 'closed' | 'open' {
    return this.waiting?.isChampion === true ? 'open' : 'closed';
  }

  /** The topology that runs; none while it is planned anew. */
  get topologies(): readonly RunningTopology[] {
    return this.running === null ? [] : [this.running];
  }

  get status(): RunningTopology['status'] {
    return this.running?.status ?? [];
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.turn.catch(() => undefined);
    await this.running?.stop();
  }

  private inTurn(act: () => Promise<void>): Promise<void> {
    const mine = this.turn.catch(() => undefined).then(act);
    this.turn = mine;
    return mine;
  }

  /** What the plan lacks of the versions, in words; a version whose service cannot be read fails when it is loaded. */
  private async lacking(versions: readonly number[]): Promise<string[]> {
    const { model } = this.options;
    const { services } = await servicesOf(this.options, model, versions);
    return services.flatMap((service) => {
      const missing = this.plan === null ? [] : missingInputs(this.plan.layout, service);
      if (missing.length === 0) return [];
      const why = this.plan?.leftOut.find((each) => each.service.hash === service.hash)?.problem;
      return [why ?? `${missing.join(', ')} of service ${service.hash.slice(0, 12)} is not computed`];
    });
  }

  private async run(named: readonly number[]): Promise<void> {
    if (this.stopped) return;
    const { project, model, generation, partitions, scorer, runtime, registry } = this.options;
    // 1 plan
    const versions = [...(await versionsInUse(registry, model.name)), ...named];
    const { services, problems } = await servicesOf(this.options, model, versions);
    this.unreadable = problems;
    const passing = await passingFields(runtime.log, this.identity, model);
    const plan = planScore(model, { services, passing, unavailable: this.unavailable });
    for (const { problem } of plan.leftOut) this.options.onNote(problem);
    if (this.running !== null && plan.layout.hash === this.plan?.layout.hash) return;
    // 2 stop
    const before = this.running;
    this.running = null;
    await before?.stop();
    // 3 start
    this.plan = plan;
    const topology = scoreTopology({ project, model, plan, generation, partitions, scorer });
    const { counters } = this;
    this.running = await runTopology(topology, { ...runtime, counters, onFatal: (error) => this.fail(error) });
    this.options.onNote(`computes ${describe(plan.services)}`);
  }

  /** A view that cannot be built is left out from then on; nothing else heals by another plan. */
  private fail(error: unknown): void {
    const parts = isTidemillError(error, 'OFFSET_LOST')
      ? (error.details['parts'] as readonly string[] | undefined)
      : [];
    if (parts === undefined || parts.length === 0) {
      this.options.runtime.onFatal(error);
      return;
    }
    const isNews = parts.some((part) => !this.unavailable.has(part));
    for (const part of parts) this.unavailable.set(part, messageOf(error));
    if (isNews) void this.inTurn(() => this.run([])).catch(this.options.runtime.onFatal);
  }
}

function describe(services: readonly CompiledService[]): string {
  return services
    .map(({ hash, inputs }) => `${hash.slice(0, 12)} (${inputs.map(({ view }) => view.name).join(', ')})`)
    .join(' and ');
}
