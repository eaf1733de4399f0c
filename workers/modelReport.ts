import { parseArgs } from 'node:util';
import { registryConfigurationFrom } from '../contracts/configuration.js';
import { CONSISTENCY_AUDITED, type AuditResult } from '../contracts/consistency.js';
import { TidemillError } from '../contracts/errors.js';
import type { ModelReport, VerdictReport, VersionReport } from '../contracts/modelReport.js';
import type { DeploymentRecord } from '../contracts/records.js';
import { verifyAudit } from '../stores/registry/auditChain.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import type { AuditRow, ModelVersion, Registry } from '../stores/registry/registry.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';
import { loadProject } from './loadProject.js';
import { versionRole } from './versionRole.js';

/** Rows of the audit that are shown. */
const AUDIT_TAIL = 10;

/**
 * Prints what the registry knows about a model, or about every model of the project where none is named: one JSON array of
 * ModelReport. Errors are one JSON object on standard error.
 *
 *   node dist/workers/modelReport.js --model fraud
 */
async function main(): Promise<ModelReport[]> {
  const { values } = parseArgs({ options: { model: { type: 'string' } } });
  const configuration = registryConfigurationFrom(process.env);
  await requireRegistry(configuration);
  const registry = await openRegistry(configuration);
  try {
    if (values.model === undefined) {
      const names = await projectModels();
      return await Promise.all(names.map((name) => reportOf(registry, name)));
    }
    const report = await reportOf(registry, values.model);
    if (report.versions.length > 0 || report.rollouts.length > 0) return [report];
    throw new TidemillError('VERSION_NOT_FOUND', `the registry knows no model ${values.model}`, {
      model: values.model,
    });
  } finally {
    await registry.close();
  }
}

async function projectModels(): Promise<string[]> {
  const module = process.env['TIDEMILL_PROJECT'];
  if (module === undefined || module === '') {
    throw new TidemillError(
      'CONFIGURATION_INVALID',
      'neither a model nor the project is named: pass MODEL, --project, or set TIDEMILL_PROJECT',
      { variable: 'TIDEMILL_PROJECT' },
    );
  }
  return (await loadProject(module)).models.map(({ name }) => name);
}

async function reportOf(registry: Registry, model: string): Promise<ModelReport> {
  const deployment = await registry.deployment(model);
  const versions = await registry.versions(model);
  const rollouts = await registry.rollouts(model);
  const audit = await registry.auditRows(model);
  const chain = verifyAudit(audit);
  const reports: VersionReport[] = [];
  for (const version of versions) reports.push(await versionReport(registry, version, deployment));
  return {
    model,
    deployment,
    versions: reports.sort((a, b) => b.version - a.version),
    rollouts: rollouts.map(({ token, trigger, phase, outcome, holder, openedAt, closedAt }) => ({
      token,
      trigger,
      phase,
      outcome,
      holder,
      openedAt: isoTime(openedAt),
      closedAt: closedAt === null ? null : isoTime(closedAt),
    })),
    consistency: newestConsistency(audit),
    audit: {
      chain: chain.kind,
      problem: chain.kind === 'broken' ? `row ${chain.sequence}: ${chain.problem}` : null,
      rows: audit.length,
      tail: audit.slice(-AUDIT_TAIL).map(({ sequence, at, actor, action, reason, hash }) => {
        return { sequence, at: isoTime(at), actor, action, reason, hash };
      }),
    },
  };
}

function newestConsistency(rows: readonly AuditRow[]): ModelReport['consistency'] {
  const newest = rows.findLast(({ action }) => action === CONSISTENCY_AUDITED);
  return newest === undefined ? null : { at: isoTime(newest.at), result: newest.after as AuditResult };
}

async function versionReport(
  registry: Registry,
  registered: ModelVersion,
  deployment: DeploymentRecord | null,
): Promise<VersionReport> {
  const { model, version, token } = registered;
  const evidence = await registry.evidence(model, token);
  return {
    version,
    status: registered.status,
    reason: registered.reason,
    role: versionRole(version, deployment),
    trigger: registered.trigger,
    createdAt: isoTime(registered.createdAt),
    trainer: registered.trainer,
    hyperparameters: registered.hyperparameters,
    metrics: registered.metrics,
    artifact: registered.artifact,
    service: registered.service,
    columns: registered.columns,
    data: registered.dataset,
    lineage: registered.lineage,
    token,
    workflow: registered.workflow,
    codeVersion: registered.codeVersion,
    // Verdicts are stored twice: with the rollout as they fall, and with the version once there is one.
    verdicts: evidence
      .filter((each) => each.version === version && isVerdict(each.evidence))
      .map((each) => each.evidence as VerdictReport),
  };
}

/** Evidence of other kinds may be stored beside verdicts. */
function isVerdict(evidence: unknown): evidence is VerdictReport {
  return typeof evidence === 'object' && evidence !== null && 'gate' in evidence && 'verdict' in evidence;
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}

await answer(main);
