import type { DeploymentRecord } from '../contracts/records.js';
import { messageOf } from '../contracts/errors.js';
import type { CompiledService } from '../features/compiledView.js';
import type { Value } from '../features/types.js';
import { layOut } from '../features/vectorLayout.js';
import type { CompiledModel } from '../models/definition.js';
import { compileAssembly, type AssembleRows } from './assembleRows.js';
import { LoadedVersions, type Answer, type LoadVersion, type ServiceOfVersion } from './loadedVersions.js';
import type { GivenColumns, ScoredRow, Scorer } from './scorer.js';

/**
 * Scores with the versions of one model's deployment; see Scorer.
 *
 * @param serviceOf what a version reads. @default the model's own service, whatever the version
 */
export function createScoringEngine(
  model: CompiledModel,
  loadVersion: LoadVersion,
  serviceOf: ServiceOfVersion = () => Promise.resolve(model.service),
): Scorer {
  return new ScoringEngine(model, loadVersion, serviceOf);
}

class ScoringEngine implements Scorer {
  private readonly versions: LoadedVersions;
  private readonly assemble: AssembleRows;
  /** Deployments that are loaded, or are being loaded, and do not serve yet: by epoch. Their versions stay loaded. */
  private readonly prepared = new Map<number, DeploymentRecord>();
  /** The champion of the newest deployment could not be loaded. */
  private championMissing = false;
  /** Why the newest deployment is not followed. */
  private notFollowed: string | null = null;
  deployment: DeploymentRecord | null = null;
  readyEpoch = 0;
  activeEpoch = 0;

  private readonly own: GivenColumns;

  constructor(model: CompiledModel, loadVersion: LoadVersion, serviceOf: ServiceOfVersion) {
    this.versions = new LoadedVersions(model, loadVersion, serviceOf);
    this.own = { layout: layOut([model.service]), absent: null };
    this.assemble = compileAssembly(model);
  }

  get breaker(): 'closed' | 'open' {
    return this.championMissing || this.faultOf(this.deployment?.champion) !== null ? 'open' : 'closed';
  }

  get problem(): string | null {
    const { deployment } = this;
    return (
      this.notFollowed ??
      this.faultOf(deployment?.champion) ??
      this.faultOf(deployment?.challenger) ??
      this.versions.problem
    );
  }

  private faultOf(version: number | null | undefined): string | null {
    return version === null || version === undefined ? null : this.versions.faultOf(version);
  }

  async prepare(next: DeploymentRecord): Promise<void> {
    if (next.epoch <= this.activeEpoch) return;
    this.prepared.set(next.epoch, next);
    let version = 0;
    try {
      for (version of versionsOf(next)) await this.versions.load(version);
    } catch (error) {
      this.prepared.delete(next.epoch);
      this.giveUp(next, version, messageOf(error));
      throw error;
    }
    const unloaded = await this.loadStandIn(next);
    // A higher epoch may have come into force meanwhile: what only this one names is of no use.
    if (next.epoch <= this.activeEpoch) this.unloadUnused();
    if (next.epoch < this.readyEpoch) return;
    this.readyEpoch = next.epoch;
    this.championMissing = false;
    this.notFollowed = null;
    this.versions.problem = unloaded;
  }

  /** The version that stands in where the champion has no score is good to have: without it the rules do. */
  private async loadStandIn({ standIn }: DeploymentRecord): Promise<string | null> {
    try {
      if (standIn !== undefined && standIn !== null) await this.versions.load(standIn);
      return null;
    } catch (error) {
      return messageOf(error);
    }
  }

  /** A version of a deployment cannot be loaded. */
  private giveUp(next: DeploymentRecord, version: number, problem: string): void {
    if (next.epoch > this.readyEpoch) {
      this.notFollowed = problem;
      this.championMissing = version === next.champion;
    }
    // Where nothing serves, a champion that is loaded does: the epoch stays unclaimed.
    if (this.activeEpoch === 0 && next.champion !== null && this.versions.has(next.champion)) {
      if (next.epoch > (this.deployment?.epoch ?? 0)) this.deployment = next;
    }
    this.unloadUnused();
  }

  activate(next: DeploymentRecord): void {
    if (next.epoch <= this.activeEpoch) return;
    for (const version of versionsOf(next)) {
      if (!this.versions.has(version)) {
        throw new Error(`invariant broken: epoch ${next.epoch} is not prepared: version ${version} is not loaded`);
      }
    }
    this.deployment = next;
    this.activeEpoch = next.epoch;
    // A lower epoch can come into force no more.
    for (const epoch of this.prepared.keys()) if (epoch <= next.epoch) this.prepared.delete(epoch);
    this.unloadUnused();
  }

  /** A version that nothing names any more is released, once its runs have ended. */
  private unloadUnused(): void {
    const named = new Set<number>();
    for (const deployment of [this.deployment, ...this.prepared.values()]) {
      if (deployment === null) continue;
      for (const version of versionsOf(deployment)) named.add(version);
      if (deployment.standIn !== undefined && deployment.standIn !== null) named.add(deployment.standIn);
    }
    this.versions.keepOnly(named);
  }

  async score(
    vectors: Float64Array,
    rows: number,
    requests: readonly (readonly Value[])[],
    units: readonly string[],
    given: GivenColumns = this.own,
  ): Promise<readonly ScoredRow[]> {
    // The deployment of this call, even if another one comes into force while it runs.
    const { deployment } = this;
    if (deployment === null) return this.assemble(NOBODY, requests, units);
    const standIn = deployment.standIn ?? null;
    const challengerVersion = deployment.mode === 'single' ? null : deployment.challenger;
    const held = this.versions.hold([deployment.champion, challengerVersion, standIn]);
    try {
      const values = Float32Array.from(vectors);
      const ask = (version: number | null): Promise<Answer | null> =>
        version === null ? Promise.resolve(null) : held.ask(version, values, rows, given);
      // One after the other: runs share one thread, and side by side each would be charged the other's time.
      const champion = await ask(deployment.champion);
      const challenger = await ask(challengerVersion);
      const isMissed = champion !== null && champion.problem !== null && standIn !== deployment.champion;
      const stand = !isMissed ? null : standIn === challengerVersion ? challenger : await ask(standIn);
      return this.assemble({ deployment, champion, challenger, standIn: stand }, requests, units);
    } finally {
      held.release();
    }
  }

  serviceOf(version: number): CompiledService | null {
    return this.versions.serviceOf(version);
  }

  close(): Promise<void> {
    return this.versions.close();
  }
}

const NOBODY = { deployment: null, champion: null, challenger: null, standIn: null } as const;

function versionsOf({ champion, challenger, prepare }: DeploymentRecord): number[] {
  return [champion, challenger, prepare].filter((version) => version !== null);
}
