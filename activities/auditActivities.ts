import { Context } from '@temporalio/activity';
import {
  AUDIT_SOURCE,
  CONSISTENCY_AUDITED,
  DEFAULT_AUDIT_SAMPLE,
  isSkewed,
  type AuditInput,
  type AuditPlan,
  type AuditResult,
  type PlannedService,
} from '../contracts/consistency.js';
import { DAY_MS } from '../contracts/duration.js';
import { checkAuditInput } from '../contracts/schemas/auditInput.js';
import type { CompiledService } from '../features/compiledView.js';
import { finiteOrNull } from '../features/finiteOrNull.js';
import { hashOf } from '../features/hash.js';
import { knownServices, type KnownService } from '../scoring/versionServices.js';
import { auditResult } from './audit/auditResult.js';
import { auditRows } from './audit/auditRows.js';
import { finalUpTo } from './audit/finality.js';
import { takeEnds } from './audit/recompute.js';
import { checkpointOf } from './checkpoint.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';

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
     * final under the service that serves now, the ends of the topics, and the services that requests may be of.
     */
    async planAudit(input: AuditInput): Promise<AuditPlan> {
      const { model, sample = DEFAULT_AUDIT_SAMPLE } = input;
      const compiled = modelOf(model);
      const known = await knownServices(dependencies, compiled);
      const readable = known.flatMap(({ service }) => service ?? []);
      const ends = await takeEnds(log, project, compiled, readable);
      const services = await plannedServices(known);
      const serving = await servingService(model, readable, compiled.service.hash);
      const final = services.find(({ service }) => service === serving)?.finalUpTo ?? Number.NEGATIVE_INFINITY;
      // Nothing is final where a stream has no event yet: a range of nothing.
      const asked = input.to === undefined ? final : Math.min(Date.parse(input.to), final);
      const to = Number.isFinite(asked) ? asked : Date.parse(input.from ?? EPOCH);
      const from = input.from === undefined ? to - DAY_MS : Math.min(Date.parse(input.from), to);
      return { model, from, to, sample, seed: hashOf([model, from, to]), ends, services, serving };
    },

    /** Draws the rows, recomputes them and stores what was found. */
    async auditServed(plan: AuditPlan): Promise<AuditResult> {
      const context = Context.current();
      const compiled = modelOf(plan.model);
      const checkpoint = checkpointOf(context, (share) => context.heartbeat({ share }));
      const audited = await auditRows(dependencies, compiled, plan, checkpoint);
      const result = await auditResult(compiled, plan, audited, async (rows) => {
        const { uri, sha256 } = await objects.put('audits', 'json', Buffer.from(JSON.stringify({ plan, rows })));
        return { uri, sha256 };
      });
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

  /** Hash of what the champion reads; of the definition's own where nothing serves, or it cannot be loaded. */
  async function servingService(model: string, readable: readonly CompiledService[], own: string): Promise<string> {
    const champion = (await registry.deployment(model))?.champion ?? null;
    const serving = champion === null ? null : await registry.version(model, champion);
    return readable.find(({ hash }) => hash === serving?.service)?.hash ?? own;
  }

  /** The services of a model's versions, and up to when requests under each are final. */
  async function plannedServices(known: readonly KnownService[]): Promise<readonly PlannedService[]> {
    return Promise.all(
      known.map(async ({ hash, versions, service }) => {
        const final = service === null ? Number.NEGATIVE_INFINITY : await finalUpTo(log, project, service);
        // JSON knows no infinity.
        return { service: hash, versions, finalUpTo: finiteOrNull(final) };
      }),
    );
  }
}

/** Who audits: this run. */
function auditor(): string {
  const { workflowId = 'none', runId = 'none' } = Context.current().info.workflowExecution ?? {};
  return `${workflowId} ${runId}`;
}

const EPOCH = '1970-01-01T00:00:00Z';
