import { canonicalJson } from '../../features/hash.js';

/** Canonical JSON of a value as JSON keeps it (dates as text, for instance); nothing is null. */
export function jsonText(value: unknown): string {
  return value === undefined ? 'null' : canonicalJson(JSON.parse(JSON.stringify(value)));
}
