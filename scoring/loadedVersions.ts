import { messageOf } from '../contracts/errors.js';
import type { CompiledService } from '../features/compiledView.js';
import {
  missingInputs,
  projectionOf,
  projectRows,
  type Projection,
  type VectorLayout,
} from '../features/vectorLayout.js';
import type { CompiledModel } from '../models/definition.js';
import { OnnxModel } from './onnxModel.js';
import type { GivenColumns } from './scorer.js';

/** Where the bytes of a version come from, checked against its sha256. */
export type LoadVersion = (version: number) => Promise<Uint8Array>;

/** What a version reads. */
export type ServiceOfVersion = (version: number) => Promise<CompiledService>;

/** What a version says about the rows of a batch. */
export interface Answer {
  readonly version: number;
  /** One per row, NaN where there is none. */
  readonly scores: Float64Array;
  /** Time that the version took for the batch, whole microseconds; 0 where it was not asked. */
  readonly micros: number;
  /** Why rows have no score; null where all have one. */
  readonly problem: string | null;
}

/** The versions of a model that are in memory, and which of them are out of order. */
export class LoadedVersions {
  private readonly loaded = new Map<number, OnnxModel>();
  /** Loads that have not ended, so that a version is never loaded twice. */
  private readonly loading = new Map<number, Promise<OnnxModel>>();
  /** Versions that are asked no more, and why: versions never change, so that another try would end the same way. */
  private readonly broken = new Map<number, string>();
  /** What versions read: kept of those that are released, too, since their rows may still be on their way out. */
  private readonly services = new Map<number, CompiledService>();
  /** How each version reads the layout of the last batch. */
  private readonly projections = new Map<
    number,
    { readonly layout: VectorLayout; readonly projection: Projection | null }
  >();
  /** What went wrong last. */
  problem: string | null = null;

  constructor(
    private readonly model: CompiledModel,
    private readonly loadVersion: LoadVersion,
    private readonly readService: ServiceOfVersion,
  ) {}

  serviceOf(version: number): CompiledService | null {
    return this.services.get(version) ?? null;
  }

  has(version: number): boolean {
    return this.loaded.has(version);
  }

  /** Why a version is asked no more; null where it is in order. */
  faultOf(version: number): string | null {
    return this.broken.get(version) ?? null;
  }

  async load(version: number): Promise<void> {
    if (this.loaded.has(version)) return;
    const known = this.loading.get(version);
    if (known !== undefined) {
      await known;
      return;
    }
    const loading = (async (): Promise<OnnxModel> => {
      const service = await this.readService(version);
      const bytes = await this.loadVersion(version);
      this.services.set(version, service);
      return OnnxModel.load(bytes, service.columns.length, `${this.model.name} version ${version}`);
    })();
    this.loading.set(version, loading);
    try {
      this.loaded.set(version, await loading);
    } finally {
      this.loading.delete(version);
    }
  }

  /** Releases all other versions, each once its runs have ended. */
  keepOnly(named: ReadonlySet<number>): void {
    for (const [version, loaded] of this.loaded) {
      if (named.has(version)) continue;
      this.loaded.delete(version);
      loaded.close().catch((error: unknown) => {
        this.problem = messageOf(error);
      });
    }
  }

  /** Keeps the versions of a batch open until `release`, even where they are released by keepOnly meanwhile. */
  hold(versions: readonly (number | null)[]): HeldVersions {
    const held = new Map<number, OnnxModel>();
    const releases: (() => void)[] = [];
    for (const version of versions) {
      const loaded = version === null ? undefined : this.loaded.get(version);
      if (version === null || loaded === undefined || held.has(version)) continue;
      held.set(version, loaded);
      releases.push(loaded.hold());
    }
    return {
      ask: (version, values, rows, given) => this.ask(version, held.get(version), values, rows, given),
      release: () => {
        for (const release of releases) release();
      },
    };
  }

  private async ask(
    version: number,
    loaded: OnnxModel | undefined,
    given: Float32Array,
    rows: number,
    { layout, absent }: GivenColumns,
  ): Promise<Answer> {
    const none = (micros: number, problem: string): Answer => ({
      version,
      scores: new Float64Array(rows).fill(Number.NaN),
      micros,
      problem,
    });
    const fault = this.faultOf(version);
    if (fault !== null) return none(0, fault);
    const service = this.serviceOf(version);
    if (loaded === undefined || service === null) return none(0, `version ${version} is not loaded`);
    const projection = this.projection(version, layout, service);
    if (projection === null) {
      // The worker is planned anew for it, and until then the version is in order but cannot be asked.
      this.problem = `version ${version} reads ${missingInputs(layout, service).join(', ')}, which is not computed here`;
      return none(0, this.problem);
    }
    const values = projection.isWhole ? given : projectRows(projection, given, layout.width, rows);
    const started = performance.now();
    try {
      const scores = Float64Array.from(await loaded.score(values, rows));
      const micros = microsSince(started);
      const lacking = withoutAbsent(version, projection, layout, scores, absent);
      const failing = this.check(version, service, scores, values);
      const problem = lacking ?? failing;
      this.problem = problem ?? this.problem;
      return { version, scores, micros, problem };
    } catch (error) {
      const problem = messageOf(error);
      this.broken.set(version, problem);
      this.problem = problem;
      return none(microsSince(started), problem);
    }
  }

  /**
   * Null where every row has a probability. A row with a null that is answered by NaN is the request's fault, and one
   * request must not put a good version out of service.
   *
   * @throws where the version answers anything else.
   */
  private check(version: number, service: CompiledService, scores: Float64Array, values: Float32Array): string | null {
    let problem: string | null = null;
    for (let row = 0; row < scores.length; row++) {
      const score = scores[row] as number;
      if (score >= 0 && score <= 1) continue;
      const column = Number.isNaN(score) ? firstNull(service, values, row) : -1;
      if (column === -1) throw new Error(`version ${version} answered ${score}`);
      problem ??= `version ${version} takes no null, and ${service.columns[column]?.name} of a request is null`;
    }
    return problem;
  }

  /** How a version reads a layout; compiled once, and again where the worker was planned anew. */
  private projection(version: number, layout: VectorLayout, service: CompiledService): Projection | null {
    const known = this.projections.get(version);
    if (known !== undefined && known.layout === layout) return known.projection;
    const projection = projectionOf(layout, service);
    this.projections.set(version, { layout, projection });
    return projection;
  }

  async close(): Promise<void> {
    for (const loaded of this.loaded.values()) await loaded.close();
    this.loaded.clear();
  }
}

/** The versions that one batch may ask. */
export interface HeldVersions {
  /** Never rejects: a version that is not to be had, or fails, answers with its problem. */
  ask(version: number, values: Float32Array, rows: number, given: GivenColumns): Promise<Answer>;
  release(): void;
}

/** First column of a row that is null; -1 for none. */
function firstNull({ columns: { length } }: CompiledService, values: Float32Array, row: number): number {
  return values.subarray(row * length, (row + 1) * length).findIndex(Number.isNaN);
}

/** Takes the score of every row that lacks columns of the version: it rests on nothing. Says which, or null. */
function withoutAbsent(
  version: number,
  { inputs }: Projection,
  layout: VectorLayout,
  scores: Float64Array,
  absent: GivenColumns['absent'],
): string | null {
  if (absent === null) return null;
  let problem: string | null = null;
  for (const [row, lacking] of absent.entries()) {
    const input = lacking?.find((each) => inputs.includes(each));
    if (input === undefined) continue;
    scores[row] = Number.NaN;
    problem ??= `version ${version} reads ${layout.inputs[input]?.input.view.name}, which some requests on their way lack`;
  }
  return problem;
}

function microsSince(startedMs: number): number {
  return Math.round((performance.now() - startedMs) * 1_000);
}
