import { CAUSE_NAMES, SKEW_CAUSES, type SkewCause } from '../../contracts/consistency.js';
import type { ArmSums } from '../statistics/confidenceSequence.js';
import type { Entity } from './entityCounts.js';
import { corruptEvidence, wholeNumber } from './evidenceState.js';

/** What an audit says of the vectors that it recomputed. */
export interface SkewFound {
  readonly rows: readonly AuditedRow[];
  /** Vectors that are not what the features say within their cut, in words: defects, which no share excuses. */
  readonly defects: readonly string[];
}

export interface AuditedRow {
  readonly entity: Entity;
  /** Why event time has another vector; null where it has the same. */
  readonly cause: SkewCause | null;
}

/** Sums of an audit: plain, whole numbers. One place per entity in each list; a row without one is an entity of its own. */
export interface SkewState {
  readonly entities: readonly Entity[];
  readonly vectors: readonly number[];
  readonly differing: readonly number[];
  readonly causes: Readonly<Record<SkewCause, number>>;
  readonly defects: number;
  /** The first defect. */
  readonly defect: string | null;
}

export const NO_SKEW_COUNTED: SkewState = skewState({ rows: [], defects: [] });

/** Sums per entity of what an audit found. */
export function skewState({ rows, defects }: SkewFound): SkewState {
  const places = new Map<Entity, number>();
  const entities: Entity[] = [];
  const vectors: number[] = [];
  const differing: number[] = [];
  const causes: Record<SkewCause, number> = { inFlight: 0, lateEvent: 0, lateLabel: 0 };
  for (const { entity, cause } of rows) {
    let place = entity === null ? undefined : places.get(entity);
    if (place === undefined) {
      place = entities.length;
      places.set(entity, place);
      entities.push(entity);
      vectors.push(0);
      differing.push(0);
    }
    vectors[place] = (vectors[place] as number) + 1;
    if (cause === null) continue;
    differing[place] = (differing[place] as number) + 1;
    causes[cause]++;
  }
  return { entities, vectors, differing, causes, defects: defects.length, defect: defects[0] ?? null };
}

export function skewSums({ vectors, differing }: SkewState): ArmSums {
  return { events: differing, requests: vectors };
}

/** `in flight 60, late event 3`; empty where nothing differs. */
export function causesInWords(causes: SkewState['causes']): string {
  return SKEW_CAUSES.filter((cause) => causes[cause] > 0)
    .map((cause) => `${CAUSE_NAMES[cause]} ${causes[cause]}`)
    .join(', ');
}

/** @throws TidemillError STATE_CORRUPT */
export function decodeSkew(state: unknown): SkewState {
  const read = (state ?? {}) as Partial<Record<keyof SkewState, unknown>>;
  const list = (name: 'entities' | 'vectors' | 'differing'): unknown[] => {
    const found = read[name];
    if (!Array.isArray(found)) throw corruptEvidence(`skew.${name} is no list`);
    return found as unknown[];
  };
  const entities = list('entities') as Entity[];
  const vectors = list('vectors').map((value) => wholeNumber('skew.vectors', value));
  const differing = list('differing').map((value) => wholeNumber('skew.differing', value));
  if (vectors.length !== entities.length || differing.length !== entities.length)
    throw corruptEvidence(`skew has no value for each of ${entities.length} entities`);
  if (differing.some((count, place) => count > (vectors[place] as number)))
    throw corruptEvidence('more vectors differ than were recomputed');
  const given = (read.causes ?? {}) as Partial<Record<SkewCause, unknown>>;
  const causes = Object.fromEntries(SKEW_CAUSES.map((cause) => [cause, wholeNumber(cause, given[cause])]));
  const defect = typeof read.defect === 'string' ? read.defect : null;
  const defects = wholeNumber('skew.defects', read.defects);
  return { entities, vectors, differing, causes: causes as SkewState['causes'], defects, defect };
}
