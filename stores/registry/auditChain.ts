import { hashOf } from '../../features/hash.js';
import type { AuditRow } from './registry.js';

/**
 * The audit of a model is a chain: every row carries the hash of the row before it and its own hash over everything in
 * it, so that a row cannot be changed, removed or moved without all later hashes changing.
 *
 *     genesis 000…0 <- row 1 <- row 2 <- … <- head
 *
 * Cutting rows off the end leaves a shorter intact chain; only a head hash kept elsewhere shows that.
 */
export const GENESIS_HASH = '0'.repeat(64);

export type AuditVerdict =
  | { readonly kind: 'intact'; readonly rows: number; readonly head: string }
  | { readonly kind: 'broken'; readonly sequence: number; readonly problem: string };

/** Hash of a row: SHA-256 over the canonical JSON of all its other members. */
export function auditHash(row: Omit<AuditRow, 'hash'>): string {
  const { sequence, model, at, actor, action, reason, before, after, evidence, previousHash } = row;
  return hashOf({ sequence, model, at, actor, action, reason, before, after, evidence, previousHash });
}

/**
 * Checks the chain of one model.
 *
 * @param rows all rows of the model, oldest first, as `Registry.auditRows` gives them.
 * @param expectedHead hash of the newest row where the caller kept it: shows rows that were cut off.
 */
export function verifyAudit(rows: readonly AuditRow[], expectedHead?: string): AuditVerdict {
  let head = GENESIS_HASH;
  let sequence = 0;
  for (const row of rows) {
    sequence++;
    if (row.sequence !== sequence)
      return broken(sequence, `row ${sequence} is missing: ${row.sequence} is in its place`);
    if (row.previousHash !== head) return broken(sequence, 'the hash of the row before it is another one');
    if (row.hash !== auditHash(row)) return broken(sequence, 'its contents do not have its hash');
    head = row.hash;
  }
  if (expectedHead !== undefined && expectedHead !== head) {
    return broken(sequence, `the head is ${head}, not ${expectedHead}: rows are missing at the end`);
  }
  return { kind: 'intact', rows: rows.length, head };
}

function broken(sequence: number, problem: string): AuditVerdict {
  return { kind: 'broken', sequence, problem };
}
