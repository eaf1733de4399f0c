import { join } from 'node:path';
import { jsonOf, readTopic } from '../../../activities/audit/readTopic.js';
import { deploymentsOf, verifyRoles } from '../../../activities/audit/verifyRoles.js';
import { verifyServed, type ServedAudit } from '../../../activities/audit/verifyServed.js';
import { journalEntry } from '../../../activities/journal.js';
import type { Configuration } from '../../../contracts/configuration.js';
import type { PredictionRecord } from '../../../contracts/records.js';
import type { WatchResult } from '../../../contracts/rollout.js';
import { predictionsTopic } from '../../../contracts/topics.js';
import type { Log } from '../../../stores/log/log.js';
import { openDiskObjectStore } from '../../../stores/objects/diskObjectStore.js';
import type { Registry } from '../../../stores/registry/registry.js';
import { fraud } from '../project.js';
import type { BadCandidate } from './badCandidate.js';
import { latencies } from './latency.js';
import type { Timeline } from './timeline.js';
import { qualityAfterPromotion } from './versionQuality.js';

/** What a run of the demo comes to; `--json` writes it. */
export interface DemoResult extends Omit<ServedAudit, 'skew' | 'findings'> {
  readonly promotions: number;
  /** Decision of the probation of version 2: pass, fail, inconclusive; none where it had none. */
  readonly probation: string;
  readonly kills: number;
  /** Predictions that were not served as the deployment of their epoch says. */
  readonly wrongRoles: number;
  /** With `--bad`: what became of the candidate. */
  readonly bad?: BadCandidate;
  readonly seconds: number;
  readonly versions: readonly {
    readonly version: number;
    readonly promotedBy: string;
    readonly metrics: Readonly<Record<string, number>>;
  }[];
}

export interface ProofOptions {
  readonly configuration: Configuration;
  readonly log: Log;
  readonly registry: Registry;
  readonly timeline: Timeline;
  /** First live offset of the request topic, by partition. */
  readonly liveFrom: ReadonlyMap<number, number>;
  /** CPU seconds of all score workers. */
  readonly cpuSeconds: number;
  readonly recoverySeconds: number;
}

/** Proves from the topics that every live record ended once, and that every vector is what a recomputation gives. */
export async function prove(options: ProofOptions): Promise<Omit<DemoResult, 'kills' | 'bad' | 'seconds'>> {
  const { configuration, log, registry, timeline, liveFrom, cpuSeconds, recoverySeconds } = options;
  const { project, home } = configuration;
  const model = fraud.compiled;
  timeline.say('proving from the topics: every record once, every vector recomputed');
  const audit = await verifyServed(log, project, model, liveFrom, (share) =>
    timeline.progress(`recomputing vectors: ${Math.round(share * 100)} %`),
  );
  const served = await readTopic(log, predictionsTopic(project, model.name));
  const roles = verifyRoles(
    served.map((record) => jsonOf<PredictionRecord>(record)),
    deploymentsOf(await registry.auditRows(model.name)),
  );
  for (const finding of [...audit.findings, ...roles.findings]) timeline.say(`finding: ${finding}`);
  const objects = openDiskObjectStore(join(home, 'objects'));
  const quality = await qualityAfterPromotion(log, project, model, registry, objects);
  const wait = await latencies(log, project, model.request.name, model.name);
  const versions = await registry.versions(model.name);
  for (const line of [
    `live records ${audit.records} = predictions ${audit.predictions} + duplicates ${audit.duplicates} + late ${audit.late} + dead letters ${audit.deadLetters}`,
    `missing ${audit.missing}, repeated ${audit.repeated}`,
    `served vectors recomputed within their cuts: ${audit.vectorsCompared}, greatest difference ${audit.maxDifference}`,
    `served as their deployments say: champion ${roles.served.champion}, challenger ${roles.served.challenger}, fallback ${roles.served.fallback}; otherwise ${roles.wrong}`,
    `skew against event time: ${audit.skew.rows} rows differ; in flight ${audit.skew.inFlight}, late event ${audit.skew.lateEvent}, late label ${audit.skew.lateLabel}`,
    `average precision on ${quality.rows} labelled requests after the promotion (${quality.positives} frauds): ${[...quality.averagePrecision].map(([version, value]) => `version ${version} ${value.toFixed(3)}`).join(', ')}`,
    `score workers: ${Math.round(audit.records / cpuSeconds)} events per CPU second; event to prediction p50 ${wait.p50} ms, p99 ${wait.p99} ms`,
    `SIGKILL to the first new prediction of the killed worker's tasks: ${recoverySeconds.toFixed(1)} s`,
  ])
    timeline.say(line);
  return {
    records: audit.records,
    predictions: audit.predictions,
    duplicates: audit.duplicates,
    late: audit.late,
    deadLetters: audit.deadLetters,
    missing: audit.missing,
    repeated: audit.repeated,
    vectorsCompared: audit.vectorsCompared,
    othersCompared: audit.othersCompared,
    maxDifference: audit.maxDifference,
    wrongRoles: roles.wrong,
    promotions: (await registry.championHistory(model.name)).length + 1,
    probation: await probationOf(registry, model.name, 2),
    versions: versions.map(({ version, trigger, metrics }) => ({
      version,
      promotedBy: trigger,
      metrics: { ...metrics, live_average_precision: quality.averagePrecision.get(version) ?? 0 },
    })),
  };
}

/**
 * What a run comes to, in words and as an exit code: 3 where the proof does not hold, or where the bad candidate was not
 * taken back; 1 where version 2 was not promoted for the right reason and confirmed, unless a bad candidate was asked about.
 *
 * @param hasPattern whether there was a new pattern to detect: the handbook's own transactions have none.
 */
export function judged(
  result: DemoResult,
  hasPattern: boolean,
): { readonly text: string; readonly exitCode: 0 | 1 | 3 } {
  const holds =
    result.missing === 0 &&
    result.repeated === 0 &&
    result.maxDifference === 0 &&
    result.wrongRoles === 0 &&
    result.records > 0 &&
    result.vectorsCompared === result.predictions;
  const second = result.versions.find(({ version }) => version === 2);
  const isPromoted = result.promotions >= 2 && second?.promotedBy === 'drift';
  const { bad, probation } = result;
  const texts = [holds ? 'the proof holds' : 'THE PROOF DOES NOT HOLD'];
  if (hasPattern)
    texts.push(`version 2 was ${isPromoted ? '' : 'NOT '}promoted after drift; its probation: ${probation}`);
  if (bad !== undefined) texts.push(`the bad candidate, version ${bad.version}, was ${bad.outcome}`);
  const isBack = bad === undefined || bad.outcome === 'taken back';
  const isAsHoped = !hasPattern || bad !== undefined || (isPromoted && probation === 'pass');
  return { text: texts.join('; '), exitCode: !holds || !isBack ? 3 : isAsHoped ? 0 : 1 };
}

async function probationOf(registry: Registry, model: string, version: number): Promise<string> {
  const token = (await registry.version(model, version))?.token;
  if (token === undefined) return 'none';
  const entry = await journalEntry(registry, { model, token }, 'probation');
  return (entry?.result as Partial<WatchResult> | null | undefined)?.decision ?? 'none';
}
