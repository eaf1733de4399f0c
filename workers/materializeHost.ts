import { isTidemillError, messageOf } from '../contracts/errors.js';
import type { CompiledView } from '../features/compiledView.js';
import { servicesOf, versionsInUse, type ServiceStores } from '../scoring/versionServices.js';
import type { ViewIdentity } from '../stores/online/onlineStore.js';
import { runTopology, type RunningTopology } from '../streams/runtime/runTopology.js';
import type { RuntimeOptions } from '../streams/runtime/taskContext.js';
import type { Topology } from '../streams/runtime/topology.js';
import { isDefined, materializeTopologies, requireModel, viewsOf, type TopologyParts } from './topologies.js';

/** How often versions in use are asked for, ms. */
const LOOK_MS = 5_000;
/** A view that nobody reads is kept for so long, ms: every worker has stopped writing it by then. */
const KEEP_UNREAD_MS = 60_000;
/** Instead of the time since when a view is unread: it is not in the store, and will not be until somebody reads it. */
const GONE = Number.POSITIVE_INFINITY;

export interface MaterializeHostOptions extends ServiceStores {
  readonly parts: TopologyParts;
  /** `onFatal` gets what a view of the definition fails with; one of an earlier definition is tried again. */
  readonly runtime: RuntimeOptions;
  readonly onNote: (text: string) => void;
  /** Wall clock, ms. @default Date.now */
  readonly clock?: () => number;
  /** @default LOOK_MS */
  readonly lookMs?: number;
}

/**
 * Keeps every view in the online store that a version in use reads: those of the definition, and those that champion,
 * challenger, predecessor or the candidate of a rollout were trained on before it was changed.
 *
 *   1 the views in use, from the registry; 2 what is not written yet is begun; 3 what this model reads no more is stopped;
 *   4 what no model of the project has read for a while is removed from the store
 *
 * Repeated every few seconds: a candidate's views are begun when it is registered, long before it is looked at.
 */
export class MaterializeHost {
  /** By hash of the view; without topologies where a later generation has taken over. */
  private readonly written = new Map<string, { readonly view: CompiledView; readonly running: Set<RunningTopology> }>();
  /** Since when nobody reads a view, by hash. */
  private readonly unreadSince = new Map<string, number>();
  /** Every version is looked at, which need not be often. */
  private removeAt = Number.NEGATIVE_INFINITY;
  private readonly noted = new Set<string>();
  private turn: Promise<void> = Promise.resolve();
  private timer: NodeJS.Timeout | null = null;
  private stopped = false;

  constructor(private readonly options: MaterializeHostOptions) {}

  get topologies(): readonly RunningTopology[] {
    return [...this.written.values()].flatMap(({ running }) => [...running]);
  }

  async start(): Promise<void> {
    const again = (): void => {
      if (this.stopped) return;
      this.timer = setTimeout(() => {
        this.turn = this.look().catch((error: unknown) => {
          this.note(`views in use are looked for again: ${messageOf(error)}`);
        });
        void this.turn.then(again);
      }, this.options.lookMs ?? LOOK_MS);
    };
    await this.look();
    again();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    if (this.timer !== null) clearTimeout(this.timer);
    await this.turn;
    await Promise.all(this.topologies.map((each) => each.stop()));
  }

  private async look(): Promise<void> {
    const { parts } = this.options;
    const model = requireModel(parts.model);
    // 1
    const readers = await Promise.all(
      parts.definitions.models.map(async (each) => ({ each, views: await this.viewsOf(each) })),
    );
    const wanted = readers.find(({ each }) => each.name === model.name)?.views ?? [];
    // 2
    for (const view of wanted) if (!this.stopped && !this.written.has(view.hash)) await this.begin(view);
    // 3
    for (const { view, running } of this.written.values()) {
      if (wanted.some(({ hash }) => hash === view.hash)) continue;
      this.written.delete(view.hash);
      await Promise.all([...running].map((each) => each.stop()));
      this.options.onNote(`view ${nameOf(view)} is read by no version in use`);
    }
    // 4
    await this.removeUnread(new Set(readers.flatMap(({ views }) => views.map(({ hash }) => hash))));
  }

  private async viewsOf(model: TopologyParts['definitions']['models'][number]): Promise<readonly CompiledView[]> {
    const { services, problems } = await servicesOf(
      this.options,
      model,
      await versionsInUse(this.options.registry, model.name),
    );
    for (const problem of problems) this.note(problem);
    return viewsOf([model.service, ...services]);
  }

  private async begin(view: CompiledView): Promise<void> {
    const { parts } = this.options;
    const isOwn = isDefined(requireModel(parts.model), view);
    const running = new Set<RunningTopology>();
    this.written.set(view.hash, { view, running });
    try {
      for (const topology of await materializeTopologies(view, parts)) await this.run(view, topology, running);
      if (!isOwn) this.options.onNote(`view ${nameOf(view)} is read by a version in use`);
    } catch (error) {
      if (isOwn) throw error;
      await this.giveUp(view, error);
    }
  }

  private async run(view: CompiledView, topology: Topology, running: Set<RunningTopology>): Promise<void> {
    const isOwn = isDefined(requireModel(this.options.parts.model), view);
    /** Every task of a topology that ends says so; only once do we stop it. */
    let hasEnded = false;
    const end = async (error: unknown): Promise<void> => {
      if (hasEnded) return;
      hasEnded = true;
      const each = await started;
      running.delete(each);
      if (!isTidemillError(error, 'ONLINE_GENERATION_RETIRED')) {
        await each.stop();
        await this.giveUp(view, error);
        return;
      }
      await each.stop();
      this.options.onNote(`${topology.identity.name} was replaced by a later generation`);
    };
    const { runtime } = this.options;
    const started = runTopology(topology, {
      ...runtime,
      onFatal: (error) => {
        if (isOwn && !isTidemillError(error, 'ONLINE_GENERATION_RETIRED')) runtime.onFatal(error);
        else void end(error).catch(runtime.onFatal);
      },
    });
    running.add(await started);
  }

  /** A view of an earlier definition cannot be written: the next look tries again, and all others go on. */
  private async giveUp(view: CompiledView, error: unknown): Promise<void> {
    const running = this.written.get(view.hash)?.running ?? [];
    this.written.delete(view.hash);
    await Promise.all([...running].map((each) => each.stop()));
    this.note(`view ${nameOf(view)} cannot be written: ${messageOf(error)}`);
  }

  /** Views that versions were ever trained on, and that no model reads now. */
  private async removeUnread(read: ReadonlySet<string>): Promise<void> {
    const { parts, registry } = this.options;
    const now = (this.options.clock ?? Date.now)();
    for (const hash of read) this.unreadSince.delete(hash);
    if (now < this.removeAt) return;
    this.removeAt = now + KEEP_UNREAD_MS;
    for (const { name: model } of parts.definitions.models) {
      for (const { lineage } of await registry.versions(model)) {
        for (const [name, hash] of Object.entries(lineage.views ?? {})) {
          if (read.has(hash)) continue;
          const since = this.unreadSince.get(hash) ?? now;
          this.unreadSince.set(hash, since);
          if (now - since < KEEP_UNREAD_MS) continue;
          await this.remove({ project: parts.project, name, hash });
          this.unreadSince.set(hash, GONE);
        }
      }
    }
  }

  private async remove(view: ViewIdentity): Promise<void> {
    const store = this.options.parts.online();
    if ((await store.serving(view)) === null) return;
    await store.remove(view);
    this.options.onNote(`view ${nameOf(view)} is removed from ${store.place}: no model reads it`);
  }

  /** Once: what does not change is looked at again every few seconds. */
  private note(text: string): void {
    if (this.noted.has(text)) return;
    this.noted.add(text);
    this.options.onNote(text);
  }
}

function nameOf({ name, hash }: { readonly name: string; readonly hash: string }): string {
  return `${name} (${hash.slice(0, 12)})`;
}
