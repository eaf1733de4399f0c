import { TidemillError } from '../../../contracts/errors.js';
import type { Upstreams } from '../../blocks/upstreams.js';
import type { WindowState } from '../../windows/windowState.js';

/** What a window task keeps beside its windows and its seen ids. */
export interface TaskMeta {
  /** Greatest event time and offset folded of the source partition; null in tasks that read no stream. */
  readonly source: readonly [greatest: number | null, folded: number] | null;
  /** What each upstream task has announced; null in tasks that have none. */
  readonly upstream: Parameters<Upstreams['decode']>[0] | null;
  readonly watermark: number | null;
}

export const META_KEY = 'm';

export function encodeMeta(meta: TaskMeta): Uint8Array {
  return Buffer.from(JSON.stringify(meta), 'utf8');
}

/** @throws TidemillError STATE_CORRUPT */
export function decodeMeta(value: Uint8Array): TaskMeta {
  try {
    return JSON.parse(Buffer.from(value).toString('utf8')) as TaskMeta;
  } catch (error) {
    throw new TidemillError('STATE_CORRUPT', 'the progress in a snapshot cannot be read', {}, { cause: error });
  }
}

/** Entries of a task's windows as the runtime stores them. */
export function* windowEntries(state: WindowState): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
  for (const { key, value } of state.snapshot()) yield { key: Buffer.from(key, 'utf8'), value };
}
