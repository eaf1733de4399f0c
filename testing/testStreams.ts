import type {
  ArchiveManifestRecord,
  CutRecord,
  DeploymentRecord,
  DriftRecord,
  OutcomeRecord,
  SetAsideRecord,
} from '../contracts/records.js';
import type { ReportRecord } from '../contracts/performanceReport.js';
import { TidemillError } from '../contracts/errors.js';
import type { OnlineFeatures } from '../contracts/onlineFeatures.js';
import type { EventStream, FeatureView, Schema, Windows } from '../features/authoring/index.js';
import { createStateReader } from '../features/operator/stateReader.js';
import { STATUSES, type Status, type Value } from '../features/types.js';
import type { Model } from '../models/authoring.js';
import { modelOf, viewOf, type Project } from '../models/project.js';
import type { Log, LogRecord } from '../stores/log/log.js';
import { FeatureReader } from '../stores/online/featureReader.js';
import { initialiseGroup } from '../streams/runtime/initialiseGroup.js';
import { Faults } from './faults.js';
import { InputStream } from './inputStream.js';
import { interleave, type Interleaving, type InterleavingReport } from './interleave.js';
import { checkInvariants, type InvariantReport } from './invariants/checkInvariants.js';
import type { Batch, Sent } from './inputs.js';
import type { TestStreamsOptions } from './options.js';
import { Outputs, type Answer, type DeadLetter, type Prediction } from './outputs.js';
import { deploymentOf, type Deploying } from './scorers.js';
import type { LiveTask, SimulationEvent } from './simulation/simulation.js';
import { stuck } from './simulation/scheduler.js';
import { openWorld, type World } from './world.js';

/**
 * Runs the streams of a project without any server: the runtime, the topologies and the log's transactions are the real ones,
 * the log lies in memory, and the clock moves only when it is told to.
 *
 * @example
 * const driver = await testStreams(project, { models: { fraud: ({ amount }) => (amount ?? 0) > 100 ? 0.9 : 0.1 } })
 * const [sent] = await driver.stream(transactions).send({ id: 1, at: '2026-03-01T10:00:00Z', customer: 7, terminal: 3, amount: 120 })
 * await driver.answerTo(sent) // { kind: 'prediction', prediction: { score: 0.9, … } }
 * await driver.close()
 * @throws TidemillError TOPOLOGY_UNSUPPORTED
 */
export async function testStreams(project: Project, options: TestStreamsOptions = {}): Promise<StreamTestDriver> {
  const world = await openWorld(project, options);
  const { simulation, topologies, partitions } = world;
  for (const batch of options.history ?? []) await new InputStream(world, batch.stream).sendBatch(batch);
  const liveFrom = new Map<string, ReadonlyMap<number, number>>();
  for (const topology of topologies) {
    const streams = topology.sources.filter(({ start }) => start !== 'earliest');
    await initialiseGroup(simulation.log, topology, 'end');
    for (const { topic } of streams) {
      const ends = await simulation.log.offsets(topic);
      liveFrom.set(topic, new Map(ends.map(({ partition, high }) => [partition, high])));
    }
  }
  const driver = new StreamTestDriver(world, partitions, liveFrom);
  for (const name of options.instances ?? ['one']) await driver.start(name);
  return driver;
}

/** See testStreams. Everything that reads first waits until what was sent is answered. */
export class StreamTestDriver {
  /** Makes things go wrong. */
  readonly faults: Faults;
  private readonly outputs: Outputs;
  private epoch = 0;
  /** The seed of the last interleaving, for messages. */
  private seed: number | null = null;

  constructor(
    private readonly world: World,
    /** Partitions of every topic. */
    readonly partitions: number,
    private readonly liveFrom: ReadonlyMap<string, ReadonlyMap<number, number>>,
  ) {
    this.faults = new Faults(world.simulation);
    this.outputs = new Outputs(world.simulation.log, world.project.id);
  }

  /** The log, for what the driver has no method for. */
  get log(): Log {
    return this.world.simulation.log;
  }

  /** Wall clock, ms UTC. */
  get now(): number {
    return this.world.simulation.scheduler.now;
  }

  /** Where events of a stream come in. */
  stream<S extends Schema>(stream: EventStream<S>): InputStream<S> {
    return new InputStream<S>(this.world, stream.compiled);
  }

  /** Goes on until everything that was sent is answered and committed. @throws TidemillError TEST_STUCK, or what ended a topology */
  settle(): Promise<void> {
    return this.world.simulation.settle();
  }

  /** Lets time pass: whatever waits for it (commits, snapshots, sessions, retries) happens in its own time. */
  advanceWallClock(ms: number): Promise<void> {
    return this.world.simulation.scheduler.advance(ms);
  }

  /** What became of a record: of a request as every model that answers it says, in the order of the project's models. */
  async answersTo(sent: Sent): Promise<Answer[]> {
    await this.settle();
    return this.outputs.answersTo(sent, this.world.project.models);
  }

  /** The one answer to a record. @throws TidemillError INVARIANT_BROKEN where there is none, or more than one */
  async answerTo(sent: Sent | undefined): Promise<Answer> {
    if (sent === undefined) throw stuck('nothing was sent');
    const answers = await this.answersTo(sent);
    const [first] = answers;
    if (first !== undefined && answers.length === 1) return first;
    throw new TidemillError(
      'INVARIANT_BROKEN',
      `${sent.topic}-${sent.partition} offset ${sent.offset} has ${answers.length} answers`,
      { sent, answers },
    );
  }

  async predictions(model: Model): Promise<Prediction[]> {
    await this.settle();
    return this.outputs.predictions(model.compiled);
  }

  async cuts(model: Model): Promise<CutRecord[]> {
    await this.settle();
    return this.outputs.cuts(model.compiled);
  }

  async outcomes(model: Model): Promise<OutcomeRecord[]> {
    await this.settle();
    return this.outputs.outcomes(model.compiled);
  }

  async drift(): Promise<DriftRecord[]> {
    await this.settle();
    return this.outputs.drift();
  }

  /** What the monitor says of the versions of a model. */
  async reports(model: Model): Promise<ReportRecord[]> {
    await this.settle();
    return this.outputs.reports(model.compiled);
  }

  async late(): Promise<SetAsideRecord[]> {
    await this.settle();
    return this.outputs.late();
  }

  async duplicates(): Promise<SetAsideRecord[]> {
    await this.settle();
    return this.outputs.duplicates();
  }

  async deadLetters(): Promise<DeadLetter[]> {
    await this.settle();
    return this.outputs.deadLetters();
  }

  /** Results of windows, one JSON object each. */
  async windowResults(windows: Windows): Promise<Readonly<Record<string, unknown>>[]> {
    await this.settle();
    return this.outputs.results(windows.compiled.to);
  }

  /** Manifests of the archive. */
  async archive(): Promise<ArchiveManifestRecord[]> {
    await this.settle();
    return this.outputs.archive();
  }

  /** What the relay told the lifecycle of the models; it may repeat itself. */
  async signals(): Promise<readonly DriftRecord[]> {
    await this.settle();
    return this.world.signals;
  }

  /** Committed records of any topic. */
  async records(topic: string): Promise<LogRecord[]> {
    await this.settle();
    return this.outputs.records(topic);
  }

  /**
   * Features of a key as the state of the running tasks has them.
   *
   * @param at event time, ms UTC or ISO 8601: events up to it are seen, it included.
   * @throws TidemillError TEST_STUCK where no running task keeps the view.
   */
  async features(
    view: FeatureView,
    key: Value,
    at: number | string,
  ): Promise<Readonly<Record<string, { readonly value: number | null; readonly status: Status }>>> {
    await this.settle();
    const { compiled } = view;
    viewOf(this.world.project, compiled.name);
    const states = this.tasks
      .filter(({ state }) => state === 'live')
      .flatMap(({ task }) => task.stateOf?.(compiled.name, key) ?? []);
    const isKept = this.tasks.some(({ task }) => task.stateOf?.(compiled.name, key) !== undefined);
    if (!isKept) throw stuck(`no running task keeps ${compiled.name}: run score or materialize`);
    const values = new Float64Array(compiled.features.length);
    const statuses = new Uint8Array(compiled.features.length);
    const time = typeof at === 'number' ? at : Date.parse(at);
    createStateReader(compiled).valuesAt(states.slice(0, 1), time, values, 0, statuses);
    return Object.fromEntries(
      compiled.features.map(({ name }, feature) => {
        const value = values[feature] as number;
        const status = STATUSES[statuses[feature] as number] as Status;
        return [name, { value: Number.isNaN(value) ? null : value, status }];
      }),
    );
  }

  /** Features of a key as the online store has them. @throws TidemillError TEST_STUCK where `materialize` does not run */
  async onlineFeatures(view: FeatureView, key: Value, at: number | string): Promise<OnlineFeatures> {
    await this.settle();
    const { online, project } = this.world;
    if (online === null) throw stuck('nothing writes an online store: run materialize');
    const reader = new FeatureReader({
      project: project.id,
      view: view.compiled,
      store: online,
      nowMs: () => this.now,
    });
    const [found] = await reader.read([key], typeof at === 'number' ? at : Date.parse(at));
    return found as OnlineFeatures;
  }

  /** Puts a deployment of a model with real versions in force, from the next micro-batch on. Epochs count up from 1. */
  async deploy(model: Model, deployment: Deploying): Promise<DeploymentRecord> {
    await this.settle();
    const compiled = modelOf(this.world.project, model.compiled.name);
    const scorer = this.world.scorers.get(compiled.name);
    if (scorer === undefined) throw stuck(`nobody answers for ${compiled.name}`);
    const next = deploymentOf(compiled, ++this.epoch, deployment);
    await scorer.prepare(next);
    scorer.activate(next);
    return next;
  }

  /** Told of every step that is taken, where a test compares runs. */
  set onStep(listener: ((label: string) => void) | null) {
    this.world.simulation.scheduler.onStep = listener;
  }

  /** The tasks that run, where they stand, and their state. */
  get tasks(): readonly LiveTask[] {
    return this.world.simulation.tasks;
  }

  /** Recoveries, discarded snapshots, rebuilds and losses of tasks so far. */
  get events(): readonly SimulationEvent[] {
    return this.world.simulation.events;
  }

  /** Starts an instance; one that crashed is replaced, and finds the snapshots that it wrote. */
  start(instance: string): Promise<void> {
    return this.world.simulation.start(instance);
  }

  /** Stops an instance in good order. */
  stop(instance: string): Promise<void> {
    return this.world.simulation.stop(instance);
  }

  /**
   * Delivers inputs and takes the steps of all instances in an order drawn from a seed, with what is asked for going wrong
   * in between. The same seed does the same again.
   *
   * @throws whatever breaks on the way, the seed in its message.
   */
  async interleave(interleaving: Interleaving): Promise<InterleavingReport> {
    this.seed = interleaving.seed;
    return interleave(this.world, this.faults, interleaving);
  }

  /**
   * Holds everything so far to the promises of the streams: each request ended exactly once and as it had to; each served
   * vector is the interpreter's within its cut; state replayed from the log is the state that runs; the online store has
   * what the interpreter has; each labelled prediction has one outcome.
   *
   * @throws TidemillError INVARIANT_BROKEN with what was found and, after an interleaving, how to repeat it.
   */
  async checkInvariants(): Promise<InvariantReport> {
    await this.settle();
    return checkInvariants(this.world, this.liveFrom, this.seed);
  }

  /** Ends everything and removes what was written. */
  close(): Promise<void> {
    return this.world.close();
  }
}

export type { Batch };
