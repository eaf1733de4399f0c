import { TidemillError } from '../../contracts/errors.js';
import type { TopicPartition } from '../log/log.js';
import type { ArchivedRange } from './archivedRanges.js';

/** When files are worth to be merged. */
export interface MergeLimits {
  /** Files become about so large. @default 128 MiB */
  readonly targetBytes?: number;
  /** And have at most so many rows. @default 5000000 */
  readonly maxRows?: number;
  /** Fewer files in a row are left as they are, unless they are enough for a large one. @default 8 */
  readonly minFiles?: number;
}

const TARGET_BYTES = 128 * 2 ** 20;
const MAX_ROWS = 5_000_000;
const MIN_FILES = 8;

/** Ranges to be merged: such that follow on one another without a gap, and are worth it. */
export function groupsOf(
  ranges: readonly ArchivedRange[],
  bytesOf: ReadonlyMap<string, number>,
  limits: MergeLimits,
): ArchivedRange[][] {
  const { targetBytes = TARGET_BYTES, maxRows = MAX_ROWS } = limits;
  const groups: ArchivedRange[][] = [];
  let group: ArchivedRange[] = [];
  let bytes = 0;
  let rows = 0;
  const close = (): void => {
    if (isWorthIt(group, bytesOf, limits)) groups.push(group);
    group = [];
    bytes = 0;
    rows = 0;
  };
  for (const range of ranges) {
    const size = sizeOf(range, bytesOf);
    const before = group.at(-1);
    if (before !== undefined && (before.last + 1 < range.first || rows + range.rows > maxRows)) close();
    // One that is large stays as it is: it would be written again and again.
    if (size >= targetBytes / 2) {
      close();
      continue;
    }
    group.push(range);
    bytes += size;
    rows += range.rows;
    if (bytes >= targetBytes) close();
  }
  close();
  return groups;
}

/**
 * A group in parts that were written by one contract each, as far as they are worth it: a merged file has one contract.
 *
 * @param contractOf a file's contract by its address.
 */
export function sameContracts(
  group: readonly ArchivedRange[],
  contractOf: ReadonlyMap<string, string | null>,
  bytesOf: ReadonlyMap<string, number>,
  limits: MergeLimits,
): ArchivedRange[][] {
  const parts: ArchivedRange[][] = [];
  let held: string | null | undefined;
  for (const range of group) {
    const contracts = new Set(range.files.map(({ uri }) => contractOf.get(uri) ?? null));
    const [contract] = contracts;
    const part = parts.at(-1);
    // A range without rows goes with any other.
    const fits = contracts.size === 0 || held === undefined || (contracts.size === 1 && contract === held);
    if (part === undefined || !fits) {
      parts.push([range]);
      held = undefined;
    } else part.push(range);
    held ??= contract;
  }
  return parts.filter((part) => isWorthIt(part, bytesOf, limits));
}

/**
 * One archive writes every offset once, whatever crashes.
 *
 * @throws TidemillError ARCHIVE_OVERLAP naming the files
 */
export function requireApart({ topic, partition }: TopicPartition, ranges: readonly ArchivedRange[]): void {
  const before = new Map<string, ArchivedRange>();
  for (const range of [...ranges].sort((a, b) => a.first - b.first || a.last - b.last)) {
    const { writer } = range;
    if (writer === undefined) continue;
    const last = before.get(writer);
    if (last !== undefined && range.first <= last.last) {
      const files = [last, range].flatMap((each) => each.files.map(({ uri }) => uri));
      throw new TidemillError(
        'ARCHIVE_OVERLAP',
        `${topic}-${partition}: ${writer} wrote offsets ${range.first} to ${Math.min(last.last, range.last)} twice: ${files.join(', ')}`,
        { topic, partition, writer, files },
      );
    }
    before.set(writer, range);
  }
}

/** Who wrote all of them; undefined where several did, or nobody knows. */
export function writerOf(group: readonly ArchivedRange[]): string | undefined {
  const [writer, ...others] = new Set(group.map((range) => range.writer));
  return others.length === 0 ? writer : undefined;
}

function isWorthIt(
  group: readonly ArchivedRange[],
  bytesOf: ReadonlyMap<string, number>,
  { targetBytes = TARGET_BYTES, minFiles = MIN_FILES }: MergeLimits,
): boolean {
  const files = group.reduce((sum, each) => sum + each.files.length, 0);
  const bytes = group.reduce((sum, each) => sum + sizeOf(each, bytesOf), 0);
  return files >= 2 && (files >= minFiles || bytes >= targetBytes);
}

function sizeOf({ files }: ArchivedRange, bytesOf: ReadonlyMap<string, number>): number {
  return files.reduce((sum, { uri }) => sum + (bytesOf.get(uri) ?? 0), 0);
}
