import { createHash } from 'node:crypto';
import type { Value } from '../../features/types.js';
import type { ViewIdentity } from './onlineStore.js';

/** Longest key text that is stored as it is; LMDB takes keys of up to 1,978 bytes. */
const MAX_KEY_BYTES = 512;

/** Name of a view's version: `PROJECT/VIEW@HASH`. */
export function viewName({ project, name, hash }: ViewIdentity): string {
  return `${project}/${name}@${hash.slice(0, 12)}`;
}

/** Text of a key: its JSON, so that 7 and "7" differ; the SHA-256 of a long one. */
export function keyText(key: Value): string {
  const text = JSON.stringify(key);
  if (Buffer.byteLength(text) <= MAX_KEY_BYTES) return text;
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}
