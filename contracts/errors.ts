import { ERROR_CODES, type ErrorCode, type ErrorDescription } from './errorCodes.js';

/** What an error carries besides its code: the values at fault, for people and programs. */
export interface ErrorDetails {
  /** The values at fault, by name: `{ field: 'amount', value: 'abc' }`. */
  readonly [name: string]: unknown;
}

/**
 * The one error class of Tidemill: a stable code, a message that names the value at fault, and what to do.
 *
 * @example
 * throw new TidemillError('OFFSET_LOST', `${topic}-${partition}: offset ${wanted} was deleted; the log starts at ${start}`, { wanted, start });
 */
export class TidemillError extends Error {
  override readonly name = 'TidemillError';
  readonly code: ErrorCode;
  readonly details: ErrorDetails;

  constructor(code: ErrorCode, message: string, details: ErrorDetails = {}, options?: { readonly cause?: unknown }) {
    super(message, options);
    this.code = code;
    this.details = details;
  }

  get description(): ErrorDescription {
    return ERROR_CODES[this.code];
  }

  /** What the operator should do. */
  get action(): string {
    return this.description.action;
  }

  /** The form in which programs see it: `{ code, message, hint, details }`. */
  toJSON(): { code: ErrorCode; message: string; hint: string; details: ErrorDetails } {
    return { code: this.code, message: this.message, hint: this.action, details: this.details };
  }
}

/** True for a TidemillError, of one code where `code` is given. */
export function isTidemillError(error: unknown, code?: ErrorCode): error is TidemillError {
  return error instanceof TidemillError && (code === undefined || error.code === code);
}

/** The text of anything thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Fails with an ordinary Error when an invariant of Tidemill itself is broken: a defect, not bad input. */
export function assert(condition: unknown, invariant: string): asserts condition {
  if (!condition) throw new Error(`invariant broken: ${invariant}`);
}
