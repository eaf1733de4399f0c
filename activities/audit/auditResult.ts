import {
  SKEW_CAUSES,
  type AuditCounts,
  type AuditPlan,
  type AuditResult,
  type ServiceCounts,
  type SkewCause,
} from '../../contracts/consistency.js';
import type { CompiledModel } from '../../models/definition.js';
import { judgeSkew } from '../../models/gates/operationalVerdicts.js';
import { skewState } from '../../models/gates/skewCounts.js';
import { marginOf } from '../../models/operationalGates.js';
import type { AuditedRows, AuditedService } from './auditRows.js';
import type { AuditedVector } from './recompute.js';
import { defectOf, skewFound } from './skewAudit.js';

/** Findings that a result carries; the report has all of them. */
const MAX_FINDINGS = 10;

/** Where all findings are kept. */
export type KeepReport = (rows: readonly object[]) => Promise<AuditCounts['report']>;

/** What an audit came to. Its report is kept only where there was something to recompute. */
export async function auditResult(
  model: CompiledModel,
  plan: AuditPlan,
  { rows, withoutVector, services }: AuditedRows,
  keepReport: KeepReport,
): Promise<AuditResult> {
  const head = { model: model.name, from: isoTime(plan.from), to: isoTime(plan.to) };
  const counted = services.map(countsOf);
  const audited = services.flatMap(({ vectors }) => vectors);
  if (audited.length === 0)
    return { outcome: 'inconclusive', ...head, reason: nothingIn(rows, withoutVector, counted), services: counted };
  const findings = services.flatMap(({ service, vectors }) =>
    vectors.filter(isFinding).map((vector) => reported(service, vector)),
  );
  const defects = audited.flatMap((each) => defectOf(each) ?? []);
  const byCause = Object.fromEntries(
    SKEW_CAUSES.map((cause) => [cause, audited.filter((each) => each.cause === cause).length]),
  ) as Record<SkewCause, number>;
  const serving = services.find(({ service }) => service === (plan.serving ?? model.service.hash))?.vectors ?? [];
  return {
    outcome: defects.length === 0 ? 'consistent' : 'inconsistent',
    ...head,
    rows,
    withoutVector,
    services: counted,
    vectors: audited.length,
    differing: defects.length,
    maxDifference: greatestDifference(audited),
    skew: { share: audited.filter(isSkewedRow).length / audited.length, byCause, ...limitOf(model, serving) },
    findings: defects.slice(0, MAX_FINDINGS),
    report: await keepReport(findings),
  };
}

function countsOf({ service, versions, rows, drawn, vectors, reason }: AuditedService): ServiceCounts {
  return {
    service,
    versions,
    rows,
    drawn,
    vectors: vectors.length,
    differing: vectors.filter((each) => defectOf(each) !== null).length,
    skewed: vectors.filter(isSkewedRow).length,
    reason,
  };
}

/** Why there was nothing to recompute. */
function nothingIn(rows: number, withoutVector: number, services: readonly ServiceCounts[]): string {
  const head = 'no request of the range was served with a value that is final';
  if (rows === 0) return head;
  const apart = services.map(
    ({ service, rows: served, reason }) => `${served} under service ${service.slice(0, 12)} (${reason ?? 'not drawn'})`,
  );
  if (withoutVector > 0) apart.push(`${withoutVector} without a whole vector`);
  return `none of ${rows} served requests can be recomputed: ${apart.join('; ')}`;
}

function isSkewedRow({ cause }: AuditedVector): boolean {
  return cause !== null;
}

function isFinding(vector: AuditedVector): boolean {
  return defectOf(vector) !== null || isSkewedRow(vector);
}

/** Of the service that serves: what others had to do with skew is past. */
function limitOf(model: CompiledModel, audited: readonly AuditedVector[]): Pick<AuditCounts['skew'], 'limit'> {
  const gate = model.gates.operational.find(({ kind }) => kind === 'skew');
  if (gate === undefined) return {};
  const atMost = marginOf(gate);
  const { rows } = skewFound(audited);
  return { limit: { atMost, ...judgeSkew(atMost, skewState({ rows, defects: [] }), audited.length) } };
}

/** Null where one side lacks a value, or there is nothing to compare with. */
function greatestDifference(audited: readonly AuditedVector[]): number | null {
  let greatest = 0;
  for (const { missing, broken } of audited) {
    if (missing !== null) return null;
    for (const { served, recomputed } of broken) {
      if (served === null || recomputed === null) return null;
      greatest = Math.max(greatest, Math.abs(served - recomputed));
    }
  }
  return greatest;
}

function reported(service: string, { row, missing, broken, skewed, cause }: AuditedVector): object {
  const { id, at, partition, offset, cut } = row;
  return { id, at: isoTime(at), partition, offset, cut, service, missing, broken, skewed, cause };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
