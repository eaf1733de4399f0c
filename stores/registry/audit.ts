import { canonicalJson, hashOf } from '../../features/hash.js';
import type { AuditRow } from './registry.js';

/** Hash before the first row. */
export const GENESIS_HASH = '0'.repeat(64);

/** The chain: hash = SHA-256 of the previous hash and the row's canonical JSON. */
export function auditHash(previousHash: string, row: Omit<AuditRow, 'hash' | 'previousHash'>): string {
  return hashOf([previousHash, canonicalJson(row)]);
}

/** Sequence of the first row that was changed, removed or put in; null where the chain is whole. */
export function brokenAuditRow(rows: readonly AuditRow[]): number | null {
  let previous = GENESIS_HASH;
  for (const [at, { hash, previousHash, ...row }] of rows.entries()) {
    if (row.sequence !== at + 1 || previousHash !== previous || hash !== auditHash(previous, row)) return row.sequence;
    previous = hash;
  }
  return null;
}
