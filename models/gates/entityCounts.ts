import type { ArmSums } from '../statistics/confidenceSequence.js';
import { corruptEvidence, wholeNumber } from './evidenceState.js';

/** What is counted of each entity. */
export const COUNTS = ['asked', 'failed', 'slow', 'championFailed', 'compared', 'differing'] as const;
export type Count = (typeof COUNTS)[number];

/** Places of the counts of an entity. */
export const ASKED = 0;
export const FAILED = 1;
export const SLOW = 2;
export const CHAMPION_FAILED = 3;
export const COMPARED = 4;
export const DIFFERING = 5;
const WIDTH = COUNTS.length;

export type Entity = number | string | null;

/** The counts as plain lists: one place per entity in each. A request without an entity is one of its own. */
export type EntityCountsState = { readonly entities: readonly Entity[] } & Readonly<Record<Count, readonly number[]>>;

/** Counts of requests per entity: whole numbers, so that sums are the same in any order. */
export class EntityCounts {
  private readonly places = new Map<number | string, number>();
  private entities: Entity[] = [];
  /** Counts of the entity at place p from p * WIDTH on. */
  values = new Float64Array(64 * WIDTH);

  get size(): number {
    return this.entities.length;
  }

  /** Where the counts of an entity begin in `values`; a new one has none yet. */
  startOf(entity: Entity): number {
    if (entity !== null) {
      const known = this.places.get(entity);
      if (known !== undefined) return known * WIDTH;
      this.places.set(entity, this.entities.length);
    }
    const start = this.entities.length * WIDTH;
    this.entities.push(entity);
    if (start === this.values.length) {
      const grown = new Float64Array(this.values.length * 2);
      grown.set(this.values);
      this.values = grown;
    }
    return start;
  }

  /** One count of every entity, in order of appearance. */
  column(count: number): Float64Array {
    const column = new Float64Array(this.size);
    for (let place = 0; place < column.length; place++) column[place] = this.values[place * WIDTH + count] as number;
    return column;
  }

  sums(events: number, requests: number): ArmSums {
    return { events: this.column(events), requests: this.column(requests) };
  }

  add(other: EntityCounts): void {
    for (const [place, entity] of other.entities.entries()) {
      const start = this.startOf(entity);
      for (let count = 0; count < WIDTH; count++) {
        this.values[start + count] =
          (this.values[start + count] as number) + (other.values[place * WIDTH + count] as number);
      }
    }
  }

  encode(): EntityCountsState {
    const columns = COUNTS.map((name, count) => [name, Array.from(this.column(count))] as const);
    return { entities: [...this.entities], ...(Object.fromEntries(columns) as Record<Count, number[]>) };
  }

  /** @throws TidemillError STATE_CORRUPT */
  static decode(state: unknown): EntityCounts {
    const lists = (state ?? {}) as Partial<Record<keyof EntityCountsState, unknown>>;
    const { entities } = lists;
    if (!Array.isArray(entities)) throw corruptEvidence('it has no entities');
    const decoded = new EntityCounts();
    for (const entity of entities as unknown[]) {
      if (entity !== null && typeof entity !== 'string' && typeof entity !== 'number') {
        throw corruptEvidence(`${JSON.stringify(entity)} is no entity`);
      }
      const before = decoded.size;
      decoded.startOf(entity);
      if (decoded.size === before) throw corruptEvidence(`entity ${JSON.stringify(entity)} is there twice`);
    }
    for (const [count, name] of COUNTS.entries()) {
      const column = lists[name];
      if (!Array.isArray(column) || column.length !== decoded.size) {
        throw corruptEvidence(`${name} has no value for each of ${decoded.size} entities`);
      }
      for (const [place, value] of (column as unknown[]).entries()) {
        decoded.values[place * WIDTH + count] = wholeNumber(name, value);
      }
    }
    return decoded;
  }
}
