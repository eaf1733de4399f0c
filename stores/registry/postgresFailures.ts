import { DatabaseError } from 'pg';
import { messageOf } from '../../contracts/errors.js';

/**
 * What a failed statement means for the transaction it belongs to:
 * `busy`: others were in the way; nothing was changed, another attempt may get through.
 * `lost`: the connection or the server went away, and the transaction with it; another connection may do better.
 * `unknown`: it went away while the transaction was committed: only the caller can tell whether to repeat.
 * `refused`: the server answers, and will not let us do it: another attempt is as useless.
 */
export type FailureKind = 'busy' | 'lost' | 'unknown' | 'refused';

/** A failed statement or connection attempt; never leaves the adapter. */
export class PostgresFailure extends Error {
  override readonly name = 'PostgresFailure';
  constructor(
    readonly kind: FailureKind,
    override readonly cause: unknown,
  ) {
    super(reasonOf(cause));
  }
}

/**
 * Codes of PostgreSQL (its appendix A), whole or as classes of two characters.
 * 40001 serialization_failure, 40P01 deadlock_detected, 55P03 lock_not_available, 57014 query_canceled (its timeout).
 * 08 connection, 53 resources (connections, memory, disk), 57P shutdown and crash, 25P03 idle in a transaction for too
 * long, 25006 read_only_sql_transaction: a former primary.
 * 28 authorisation, 3D000 no such database, 42501 insufficient_privilege.
 */
const KINDS: readonly (readonly [FailureKind, RegExp])[] = [
  ['busy', /^(40001|40P01|55P03|57014)$/],
  ['lost', /^(08|53|57P|25P03|25006)/],
  ['refused', /^(28|3D000|42501)/],
];

/** What a failure of the driver means; the error itself where it is a defect: a wrong statement, a broken constraint. */
export function failureOf(error: unknown): unknown {
  // What does not come from the server is about reaching it.
  if (!(error instanceof DatabaseError)) return new PostgresFailure('lost', error);
  const kind = KINDS.find(([, codes]) => codes.test(error.code ?? ''))?.[0];
  return kind === undefined ? error : new PostgresFailure(kind, error);
}

/** A host with several addresses fails with one error for each, and none of its own. */
function reasonOf(error: unknown): string {
  return error instanceof AggregateError ? error.errors.map(messageOf).join('; ') : messageOf(error);
}
