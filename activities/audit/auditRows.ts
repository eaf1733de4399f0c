import type { AuditPlan, PlannedService } from '../../contracts/consistency.js';
import { isTidemillError } from '../../contracts/errors.js';
import type { CompiledModel } from '../../models/definition.js';
import { knownServices, type KnownService, type ServiceStores } from '../../scoring/versionServices.js';
import type { ServedRow } from '../../stores/offline/archiveReader.js';
import { drawServed } from './drawServed.js';
import { recompute, type AuditedVector, type AuditParts, type Checkpoint } from './recompute.js';

/** What became of the rows of one service. */
export interface AuditedService {
  /** Hash of the service. */
  readonly service: string;
  readonly versions: readonly number[];
  /** Rows of the range, and of them those of the sample. */
  readonly rows: number;
  readonly drawn: number;
  readonly vectors: readonly AuditedVector[];
  /** Why rows of it cannot be recomputed; null where all can. */
  readonly reason: string | null;
}

export interface AuditedRows {
  readonly rows: number;
  /** Rows that name no service: see `namedService`. */
  readonly withoutVector: number;
  /** The most rows first. */
  readonly services: readonly AuditedService[];
}

/** Share of the work that drawing is. */
const DRAWING = 0.2;

/**
 * Draws the rows of an audit and recomputes each under the service that it was served under: 1 the services that can be
 * loaded, 2 the rows, of whatever service, 3 the vectors, service by service. Rows whose service is nowhere any more, or
 * whose value under it is not final, are counted with the reason.
 *
 * @throws TidemillError OFFSET_LOST, AUDIT_TOO_LARGE
 */
export async function auditRows(
  audit: AuditParts & ServiceStores,
  model: CompiledModel,
  plan: AuditPlan,
  checkpoint: Checkpoint,
): Promise<AuditedRows> {
  // 1
  const known = new Map((await knownServices(audit, model)).map((each) => [each.hash, each]));
  const planned = new Map(servicesOfPlan(model, plan).map((each) => [each.service, each]));
  const readable = [...known.values()].flatMap(({ service }) => service ?? []);
  // 2
  const drawn = await drawServed(audit, model, readable, plan, (share) => checkpoint(share * DRAWING));
  // 3
  const samples = new Map<string, ServedRow[]>();
  for (const row of drawn.sample) {
    const known = samples.get(row.service);
    if (known === undefined) samples.set(row.service, [row]);
    else known.push(row);
  }
  const { '': withoutVector = 0, ...rowsOf } = Object.fromEntries(drawn.rows);
  const services: AuditedService[] = [];
  let done = 0;
  for (const [service, rows] of Object.entries(rowsOf)) {
    const sample = samples.get(service) ?? [];
    const found = recomputable(model, known.get(service), planned.get(service), sample);
    const started = done;
    const { versions = [] } = known.get(service) ?? {};
    const of = { service, versions, rows, drawn: sample.length };
    try {
      const vectors =
        found.service === null || found.rows.length === 0
          ? []
          : await recompute(audit, model, found.service, found.rows, plan.ends, (share) =>
              checkpoint(DRAWING + ((1 - DRAWING) * (started + share * sample.length)) / drawn.sample.length),
            );
      services.push({ ...of, vectors, reason: found.reason });
    } catch (error) {
      // Streams that the definition reads no more need not be kept: of what still serves they must be.
      if (!isTidemillError(error, 'OFFSET_LOST') || [model.service.hash, plan.serving].includes(service)) throw error;
      services.push({ ...of, vectors: [], reason: error.message });
    }
    done += sample.length;
  }
  const rows = [...drawn.rows.values()].reduce((sum, each) => sum + each, 0);
  return { rows, withoutVector, services: services.sort((a, b) => b.rows - a.rows) };
}

/** Audits that were planned before rows of other services were recomputed planned for the definition's own. */
function servicesOfPlan(model: CompiledModel, { services, to }: AuditPlan): readonly PlannedService[] {
  return services ?? [{ service: model.service.hash, versions: [], finalUpTo: to }];
}

/** Which rows of a service can be recomputed, and why the others cannot. */
function recomputable(
  model: CompiledModel,
  known: KnownService | undefined,
  planned: PlannedService | undefined,
  sample: readonly ServedRow[],
): Pick<KnownService, 'service'> & { readonly rows: readonly ServedRow[]; readonly reason: string | null } {
  const none = (reason: string) => ({ service: null, rows: [], reason });
  if (known === undefined) return none(`no version of ${model.name} reads it, nor does its definition`);
  if (known.service === null) return none(known.problem ?? 'it cannot be loaded');
  if (planned === undefined) return none('nobody knew it when the audit was planned');
  const { finalUpTo } = planned;
  const rows = finalUpTo === null ? [] : sample.filter(({ at }) => at < finalUpTo);
  const waiting = sample.length - rows.length;
  const reason = waiting === 0 ? null : `the values of ${waiting} of them in event time are not final`;
  return { service: known.service, rows, reason };
}
