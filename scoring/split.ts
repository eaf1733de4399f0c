import type { Arm, DeploymentRecord } from '../contracts/records.js';
import type { Value } from '../features/types.js';
import { murmur2 } from '../stores/log/partitioner.js';

/**
 * Who belongs to the challenger's arm of a canary: every unit has a place in [0, 1) that depends on the salt and on
 * nothing else, and the challenger's arm is what lies below the share.
 *
 *   salt s, customer     8 -> .096    2 -> .222    7 -> .918
 *   share .1             challenger   champion     champion
 *   share .5             challenger   challenger   champion
 *
 * So who is in at a share is in at every greater one, in every process and on every platform; and another salt draws anew.
 */

/** What a request is split by: the value of its clustering entity, or, where that is null, its own id. */
export function splitUnit(entity: Value, id: number | string): string {
  return String(entity ?? id);
}

/**
 * Place of a unit in [0, 1), in steps of 2^-32: MurmurHash2 of salt, NUL and unit. Topics are partitioned by the same hash
 * without a salt, and by its low bits; the place is made of the high ones.
 */
export function splitPlace(salt: string, unit: string): number {
  return (murmur2(Buffer.from(`${salt}\0${unit}`, 'utf8')) >>> 0) / 2 ** 32;
}

/** Arm of a unit; outside a canary always the champion's. */
export function armOf({ mode, share, salt }: Pick<DeploymentRecord, 'mode' | 'share' | 'salt'>, unit: string): Arm {
  return mode === 'canary' && splitPlace(salt, unit) < share ? 'challenger' : 'champion';
}
