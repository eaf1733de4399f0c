import type { DeploymentRecord } from '../contracts/records.js';
import { messageOf } from '../contracts/errors.js';
import type { Value } from '../features/types.js';
import { compileDecision, compileFallback, type Decide, type FallbackScore } from '../models/decide.js';
import type { CompiledModel } from '../models/definition.js';
import { OnnxModel } from './onnxModel.js';
import type { ScoredBatch, Scorer } from './scorer.js';

/** Where the bytes of a version come from, checked against its sha256 and against the model's feature service. */
export type LoadVersion = (version: number) => Promise<Uint8Array>;

/** Scores with the versions of one model's deployment; see Scorer. */
export function createScoringEngine(model: CompiledModel, loadVersion: LoadVersion): Scorer {
  return new ScoringEngine(model, loadVersion);
}

class ScoringEngine implements Scorer {
  private readonly versions = new Map<number, OnnxModel>();
  /** Loads that have not ended, so that a version is never loaded twice. */
  private readonly loading = new Map<number, Promise<OnnxModel>>();
  /** Deployments that are loaded, or are being loaded, and do not serve yet: by epoch. Their versions stay loaded. */
  private readonly prepared = new Map<number, DeploymentRecord>();
  private readonly decide: Decide;
  private readonly fallback: FallbackScore;
  /** The champion before the one in force: serves where that one fails. */
  private previous: number | null = null;
  private readonly broken = new Set<number>();
  /** The champion of the newest deployment could not be loaded. */
  private championMissing = false;
  deployment: DeploymentRecord | null = null;
  readyEpoch = 0;
  activeEpoch = 0;
  problem: string | null = null;

  constructor(
    private readonly model: CompiledModel,
    private readonly loadVersion: LoadVersion,
  ) {
    this.decide = compileDecision(model);
    this.fallback = compileFallback(model);
  }

  get breaker(): 'closed' | 'open' {
    const champion = this.deployment?.champion ?? null;
    return this.championMissing || (champion !== null && this.broken.has(champion)) ? 'open' : 'closed';
  }

  async prepare(next: DeploymentRecord): Promise<void> {
    if (next.epoch <= this.activeEpoch) return;
    this.prepared.set(next.epoch, next);
    let version: number | null = null;
    try {
      for (version of [next.champion, next.challenger, next.prepare]) {
        if (version !== null) await this.load(version);
      }
    } catch (error) {
      this.prepared.delete(next.epoch);
      if (next.epoch > this.readyEpoch) this.championMissing = version === next.champion;
      this.problem = messageOf(error);
      throw error;
    }
    if (next.epoch < this.readyEpoch) return;
    this.readyEpoch = next.epoch;
    this.championMissing = false;
    this.problem = null;
  }

  private async load(version: number): Promise<OnnxModel> {
    const known = this.versions.get(version) ?? this.loading.get(version);
    if (known !== undefined) return known;
    const loading = this.loadVersion(version).then((bytes) =>
      OnnxModel.load(bytes, this.model.service.columns.length, `${this.model.name} version ${version}`),
    );
    this.loading.set(version, loading);
    try {
      const loaded = await loading;
      this.versions.set(version, loaded);
      return loaded;
    } finally {
      this.loading.delete(version);
    }
  }

  activate(next: DeploymentRecord): void {
    if (next.epoch <= this.activeEpoch) return;
    for (const version of versionsOf(next)) {
      if (!this.versions.has(version)) {
        throw new Error(`invariant broken: epoch ${next.epoch} is not prepared: version ${version} is not loaded`);
      }
    }
    const before = this.deployment?.champion ?? null;
    if (before !== next.champion && before !== null) this.previous = before;
    this.deployment = next;
    this.activeEpoch = next.epoch;
    // A lower epoch can come into force no more.
    for (const epoch of this.prepared.keys()) if (epoch <= next.epoch) this.prepared.delete(epoch);
    this.unloadUnused();
  }

  /** A version that nothing names any more is released, once its runs have ended. */
  private unloadUnused(): void {
    const named = new Set<number | null>([this.previous]);
    for (const deployment of [this.deployment, ...this.prepared.values()]) {
      if (deployment !== null) for (const version of versionsOf(deployment)) named.add(version);
    }
    for (const [version, loaded] of this.versions) {
      if (named.has(version)) continue;
      this.versions.delete(version);
      loaded.close().catch((error: unknown) => {
        this.problem = messageOf(error);
      });
    }
  }

  async score(vectors: Float64Array, rows: number, requests: readonly (readonly Value[])[]): Promise<ScoredBatch> {
    // The deployment of this call, even if another one comes into force while it runs.
    const { deployment, previous } = this;
    for (const version of [deployment?.champion ?? null, previous]) {
      if (version === null) continue;
      const scores = await this.scoreWith(version, vectors, rows);
      if (scores !== null) return this.batch(scores, version, 'champion', deployment?.epoch ?? 0, requests);
    }
    const scores = new Float64Array(rows);
    for (let row = 0; row < rows; row++) scores[row] = this.fallback(requests[row] as readonly Value[]);
    return this.batch(scores, 0, 'fallback', deployment?.epoch ?? 0, requests);
  }

  /**
   * Null where the version is not to be had, fails, or answers something that is no probability. Such a version is
   * broken and asked no more; except where it answers NaN for rows with nulls alone: there the request is at fault, and
   * one request must not put a good version out of service.
   */
  private async scoreWith(version: number, vectors: Float64Array, rows: number): Promise<Float64Array | null> {
    const loaded = this.versions.get(version);
    if (loaded === undefined || this.broken.has(version)) return null;
    try {
      const scores = Float64Array.from(await loaded.score(Float32Array.from(vectors), rows));
      let column: number | null = null;
      for (let row = 0; row < rows; row++) {
        const score = scores[row] as number;
        if (score >= 0 && score <= 1) continue;
        const nullColumn = Number.isNaN(score) ? this.firstNull(vectors, row) : -1;
        if (nullColumn === -1) throw new Error(`version ${version} answered ${score}`);
        column ??= nullColumn;
      }
      if (column === null) return scores;
      this.problem = `version ${version} takes no null, and ${this.model.service.columns[column]?.name} of a request is null`;
      return null;
    } catch (error) {
      this.broken.add(version);
      this.problem = messageOf(error);
      return null;
    }
  }

  /** First column of a row that is null; -1 for none. */
  private firstNull(vectors: Float64Array, row: number): number {
    const { length } = this.model.service.columns;
    return vectors.subarray(row * length, (row + 1) * length).findIndex(Number.isNaN);
  }

  private batch(
    scores: Float64Array,
    version: number,
    role: ScoredBatch['role'],
    epoch: number,
    requests: readonly (readonly Value[])[],
  ): ScoredBatch {
    const decisions = requests.map((request, row) => this.decide(request, scores[row] as number));
    return { scores, version, role, epoch, decisions };
  }

  async close(): Promise<void> {
    for (const loaded of this.versions.values()) await loaded.close();
    this.versions.clear();
  }
}

function versionsOf({ champion, challenger, prepare }: DeploymentRecord): number[] {
  return [champion, challenger, prepare].filter((version) => version !== null);
}
