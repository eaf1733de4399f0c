import { setTimeout as sleep } from 'node:timers/promises';
import { readTopic, jsonOf } from '../../../activities/audit/readTopic.js';
import type { DeploymentRecord, PredictionRecord } from '../../../contracts/records.js';
import { deploymentsTopic, predictionsTopic } from '../../../contracts/topics.js';
import { verifyAudit } from '../../../stores/registry/auditChain.js';
import type { AuditRow } from '../../../stores/registry/registry.js';
import { MODEL, type Cluster } from './cluster.js';

/** What a case of chaos starts from. */
export interface Before {
  readonly auditRows: number;
  readonly versions: number;
  readonly predictions: Readonly<Record<string, number>>;
}

export interface Found {
  readonly promotions: number;
  readonly compensations: number;
  /** What does not hold; empty where everything does. */
  readonly problems: readonly string[];
}

export async function lookBefore({ registry, log, configuration }: Cluster): Promise<Before> {
  const topic = predictionsTopic(configuration.project, MODEL);
  return {
    auditRows: (await registry.auditRows(MODEL)).length,
    versions: (await registry.versions(MODEL)).length,
    predictions: Object.fromEntries((await log.offsets(topic)).map(({ partition, high }) => [partition, high])),
  };
}

/**
 * What must hold after any fault, once the lifecycle is at rest:
 *
 *   1. one promotion (or as many as were asked for) or one complete compensation; no rollout is open
 *   2. the audit chain is intact
 *   3. registry, topic `deployments` and every live instance agree
 *   4. every prediction was made by a version that its epoch's deployment allows
 */
export async function lookAfter(cluster: Cluster, before: Before, atMost: number): Promise<Found> {
  const { registry, lifecycle } = cluster;
  const problems: string[] = [];
  for (;;) {
    const { rollout, rollbacks = [] } = await lifecycle.lifecycleStatus(MODEL);
    if (rollout === null && rollbacks.length === 0) break;
    await sleep(200);
  }

  // 1
  const rows = await registry.auditRows(MODEL);
  const since = rows.slice(before.auditRows);
  const count = (action: string): number => since.filter((row) => row.action === action).length;
  const promotions = count('deployment.commit');
  const compensations = count('version.rejected') + count('version.withdrawn');
  if (promotions > atMost) problems.push(`${promotions} promotions`);
  const open = (await registry.rollouts(MODEL)).filter(({ closedAt }) => closedAt === null);
  if (open.length > 0) problems.push(`rollout ${open.map(({ token }) => token).join(', ')} is still open`);
  const head = await registry.deployment(MODEL);
  if (head === null || head.mode !== 'single' || head.challenger !== null || head.prepare !== null)
    problems.push(`the deployment is left half way: ${JSON.stringify(head)}`);
  const promoted = new Set([head?.champion, ...(await registry.championHistory(MODEL)).map(({ version }) => version)]);
  for (const { version, status } of (await registry.versions(MODEL)).slice(before.versions)) {
    if (status === 'registered' && !promoted.has(version)) problems.push(`version ${version} is left over`);
  }

  // 2
  const audit = verifyAudit(rows);
  if (audit.kind === 'broken') problems.push(`the audit is broken at row ${audit.sequence}: ${audit.problem}`);

  // 3
  problems.push(...(await disagreements(cluster, head)));

  // 4
  problems.push(...(await wrongPredictions(cluster, rows, before)));
  return { promotions, compensations, problems };
}

/** Leases are renewed every 2 s: agreement is waited for, as long as a lease lives. */
async function disagreements(cluster: Cluster, head: DeploymentRecord | null): Promise<string[]> {
  const { log, registry, configuration } = cluster;
  for (let waited = 0; ; waited += 500) {
    const records = await readTopic(log, deploymentsTopic(configuration.project));
    const published = records
      .map((record) => jsonOf<DeploymentRecord>(record))
      .filter(({ model }) => model === MODEL)
      .reduce((newest, each) => (each.epoch > newest ? each.epoch : newest), 0);
    const behind = (await registry.liveInstances(MODEL)).filter(({ activeEpoch }) => activeEpoch !== head?.epoch);
    if (published === head?.epoch && behind.length === 0) return [];
    if (waited < 15_000) {
      await sleep(500);
      continue;
    }
    return [
      `the registry is at epoch ${head?.epoch}, the topic at ${published}, behind: ` +
        behind.map(({ instance, activeEpoch, problem }) => `${instance} at ${activeEpoch} (${problem})`).join(', '),
    ];
  }
}

async function wrongPredictions(
  { log, configuration }: Cluster,
  rows: readonly AuditRow[],
  before: Before,
): Promise<string[]> {
  const deployments = new Map<number, DeploymentRecord>();
  for (const { action, after } of rows) {
    if (action.startsWith('deployment.')) deployments.set((after as DeploymentRecord).epoch, after as DeploymentRecord);
  }
  const topic = predictionsTopic(configuration.project, MODEL);
  const problems: string[] = [];
  for (const { partition, high } of await log.offsets(topic)) {
    const from = before.predictions[partition] ?? 0;
    for await (const batch of log.read({ topic, partition, from, to: high })) {
      for (const record of batch) {
        const { version, role, epoch, arm } = jsonOf<PredictionRecord>(record);
        const deployment = deployments.get(epoch);
        const allowed =
          deployment !== undefined &&
          (role === 'champion' || (role === 'challenger' && deployment.mode === 'canary' && arm === 'challenger')) &&
          version === deployment[role === 'champion' ? 'champion' : 'challenger'];
        if (!allowed && problems.length < 5)
          problems.push(
            `${topic}-${partition} offset ${record.offset}: version ${version} as ${role} at epoch ${epoch}`,
          );
      }
    }
  }
  return problems;
}
