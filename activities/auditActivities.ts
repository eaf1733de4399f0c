import { Context } from '@temporalio/activity';
import {
  AUDIT_SOURCE,
  CONSISTENCY_AUDITED,
  DEFAULT_AUDIT_SAMPLE,
  isSkewed,
  SKEW_CAUSES,
  type AuditCounts,
  type AuditInput,
  type AuditPlan,
  type AuditResult,
  type SkewCause,
} from '../contracts/consistency.js';
import { DAY_MS } from '../contracts/duration.js';
import { checkAuditInput } from '../contracts/schemas/auditInput.js';
import { hashOf } from '../features/hash.js';
import type { CompiledModel } from '../models/definition.js';
import { judgeSkew } from '../models/gates/operationalVerdicts.js';
import { skewState } from '../models/gates/skewCounts.js';
import { marginOf } from '../models/operationalGates.js';
import { drawServed, type DrawnRows } from './audit/drawServed.js';
import { finalUpTo } from './audit/finality.js';
import { recompute, takeEnds, type AuditedVector } from './audit/recompute.js';
import { defectOf, skewFound } from './audit/skewAudit.js';
import { checkpointOf } from './checkpoint.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';

/** Findings that a result carries; the report has all of them. */
const MAX_FINDINGS = 10;

/** The audit of served vectors: what was served against what the features say. */
export function createAuditActivities(dependencies: ActivityDependencies) {
  const { log, objects, registry, project, modelOf, lifecycle } = dependencies;
  return withFailures({
    /** @throws TidemillError INPUT_INVALID; DEFINITION_INVALID for a model that the project does not have. */
    async validateAudit(input: unknown): Promise<AuditInput> {
      const checked = checkAuditInput(input);
      modelOf(checked.model);
      return checked;
    },

    /**
     * Settles what the audit looks at, so that every attempt looks at the same: requests whose value in event time is
     * final, and the ends of the topics.
     */
    async planAudit(input: AuditInput): Promise<AuditPlan> {
      const { model, sample = DEFAULT_AUDIT_SAMPLE } = input;
      const compiled = modelOf(model);
      const ends = await takeEnds(log, project, compiled);
      const final = await finalUpTo(log, project, compiled.service);
      // Nothing is final where a stream has no event yet: a range of nothing.
      const asked = input.to === undefined ? final : Math.min(Date.parse(input.to), final);
      const to = Number.isFinite(asked) ? asked : Date.parse(input.from ?? EPOCH);
      const from = input.from === undefined ? to - DAY_MS : Math.min(Date.parse(input.from), to);
      return { model, from, to, sample, seed: hashOf([model, from, to]), ends };
    },

    /** Draws the rows, recomputes them and stores what was found. */
    async auditServed(plan: AuditPlan): Promise<AuditResult> {
      const context = Context.current();
      const compiled = modelOf(plan.model);
      let drawn: DrawnRows | null = null;
      const checkpoint = checkpointOf(context, (share) =>
        context.heartbeat({ rows: drawn?.rows ?? null, share: drawn === null ? share * 0.2 : 0.2 + share * 0.8 }),
      );
      drawn = await drawServed(dependencies, compiled, plan, checkpoint);
      const audited = await recompute(dependencies, compiled, drawn.sample, plan.ends, checkpoint);
      const result = await resultOf(compiled, plan, drawn, audited);
      await registry.noteConsistency(plan.model, auditor(), result);
      return result;
    },

    /**
     * Tells the lifecycle of skew beyond its limit, as it hears of drift. Numbered by the audits that found any, so that an
     * attempt that is repeated says the same once more.
     *
     * @returns the version that it is about; null where nothing serves.
     */
    async reportSkew(
      model: string,
      { from, to }: { readonly from: string; readonly to: string },
    ): Promise<number | null> {
      const version = (await registry.deployment(model))?.champion ?? null;
      if (version === null) return null;
      const found = (await registry.auditRows(model)).filter(
        ({ action, after }) => action === CONSISTENCY_AUDITED && isSkewed(after as AuditResult),
      );
      const sequence = found.findIndex(({ actor }) => actor === auditor()) + 1;
      const [onset, detectedAt] = [Date.parse(from), Date.parse(to)];
      await lifecycle.signalDrift(model, { source: AUDIT_SOURCE, sequence, version, onset, detectedAt });
      return version;
    },
  });

  async function resultOf(
    model: CompiledModel,
    plan: AuditPlan,
    { rows, ofOtherInputs }: DrawnRows,
    audited: readonly AuditedVector[],
  ): Promise<AuditResult> {
    const head = { model: model.name, from: isoTime(plan.from), to: isoTime(plan.to) };
    if (audited.length === 0) {
      const others = ofOtherInputs > 0 ? `, all ${ofOtherInputs} under other definitions of the features` : '';
      const reason = `no request of the range was served with a value that is final${rows > 0 ? others : ''}`;
      return { outcome: 'inconclusive', ...head, reason };
    }
    const findings = audited.filter(
      ({ missing, broken, cause }) => missing !== null || broken.length > 0 || cause !== null,
    );
    const report = await objects.put(
      'audits',
      'json',
      Buffer.from(JSON.stringify({ plan, rows: findings.map(reported) })),
    );
    const defects = audited.flatMap((each) => defectOf(each) ?? []);
    const byCause = Object.fromEntries(
      SKEW_CAUSES.map((cause) => [cause, audited.filter((each) => each.cause === cause).length]),
    ) as Record<SkewCause, number>;
    const skewed = audited.filter(({ cause }) => cause !== null).length;
    return {
      outcome: defects.length === 0 ? 'consistent' : 'inconsistent',
      ...head,
      rows,
      ofOtherInputs,
      vectors: audited.length,
      differing: defects.length,
      maxDifference: greatestDifference(audited),
      skew: { share: skewed / audited.length, byCause, ...limitOf(model, audited) },
      findings: defects.slice(0, MAX_FINDINGS),
      report: { uri: report.uri, sha256: report.sha256 },
    };
  }
}

/** Who audits: this run. */
function auditor(): string {
  const { workflowId = 'none', runId = 'none' } = Context.current().info.workflowExecution ?? {};
  return `${workflowId} ${runId}`;
}

function limitOf(model: CompiledModel, audited: readonly AuditedVector[]): Pick<AuditCounts['skew'], 'limit'> {
  const gate = model.gates.operational.find(({ kind }) => kind === 'skew');
  if (gate === undefined) return {};
  const atMost = marginOf(gate);
  const { rows } = skewFound(model, audited);
  return { limit: { atMost, ...judgeSkew(atMost, skewState({ rows, defects: [] }), audited.length) } };
}

const EPOCH = '1970-01-01T00:00:00Z';

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

function reported({ row, missing, broken, skewed, cause }: AuditedVector): object {
  const { id, at, partition, offset, cut } = row;
  return { id, at: isoTime(at), partition, offset, cut, missing, broken, skewed, cause };
}

function isoTime(ms: number): string {
  return new Date(ms).toISOString();
}
