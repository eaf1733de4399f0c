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
  private readonly decide: Decide;
  private readonly fallback: FallbackScore;
  /** The champion before the one in force: serves where that one fails. */
  private previous: number | null = null;
  private broken = new Set<number>();
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
    return champion !== null && this.broken.has(champion) ? 'open' : 'closed';
  }

  async prepare(next: DeploymentRecord): Promise<void> {
    if (next.epoch <= this.readyEpoch) return;
    try {
      for (const version of [next.champion, next.challenger, next.prepare]) {
        if (version !== null) await this.load(version);
      }
      this.readyEpoch = Math.max(this.readyEpoch, next.epoch);
      this.problem = null;
    } catch (error) {
      this.problem = messageOf(error);
      throw error;
    }
  }

  private async load(version: number): Promise<OnnxModel> {
    const known = this.versions.get(version);
    if (known !== undefined) return known;
    const bytes = await this.loadVersion(version);
    const loaded = await OnnxModel.load(
      bytes,
      this.model.service.columns.length,
      `${this.model.name} version ${version}`,
    );
    this.versions.set(version, loaded);
    return loaded;
  }

  activate(next: DeploymentRecord): void {
    if (next.epoch <= this.activeEpoch) return;
    if (next.epoch > this.readyEpoch) throw new Error(`invariant broken: epoch ${next.epoch} is not prepared`);
    const before = this.deployment?.champion ?? null;
    if (before !== next.champion && before !== null) this.previous = before;
    this.deployment = next;
    this.activeEpoch = next.epoch;
    this.unloadUnused();
  }

  /** A version that nothing names any more is released. */
  private unloadUnused(): void {
    const named = new Set([
      this.deployment?.champion,
      this.deployment?.challenger,
      this.deployment?.prepare,
      this.previous,
    ]);
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

  /** Null where the version is not to be had, fails, or answers something that is no probability. */
  private async scoreWith(version: number, vectors: Float64Array, rows: number): Promise<Float64Array | null> {
    const loaded = this.versions.get(version);
    if (loaded === undefined || this.broken.has(version)) return null;
    try {
      const scores = Float64Array.from(await loaded.score(Float32Array.from(vectors), rows));
      for (const score of scores) {
        if (!(score >= 0 && score <= 1)) throw new Error(`version ${version} answered ${score}`);
      }
      return scores;
    } catch (error) {
      this.broken.add(version);
      this.problem = messageOf(error);
      return null;
    }
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
