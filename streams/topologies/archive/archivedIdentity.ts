import { TidemillError } from '../../../contracts/errors.js';
import type { ArchivedRange } from '../../../stores/archive/archivedRanges.js';
import { readIncarnations } from '../../../stores/archive/archivedRanges.js';
import type { Incarnation } from '../../../stores/archive/incarnations.js';
import type { Log, TopicPartition } from '../../../stores/log/log.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import { partitionName } from '../../runtime/taskInputs.js';

export interface ArchiveParts {
  readonly log: Log;
  readonly objects: Pick<ObjectStore, 'localPath'>;
  readonly offline: Pick<OfflineStore, 'archive'>;
  readonly project: string;
  /** Consumer group of the archive. */
  readonly writer: string;
}

/** What the archive has of an input. */
export interface ArchivedSoFar {
  /** Nothing before this offset is archived by this writer any more: it has it. */
  readonly upTo: number;
  /** Offset after the last one that is archived of an earlier topic of the name; null where what is archived is of this one. */
  readonly before: number | null;
}

/**
 * Sees that what a task archives, and what is archived already, is of one topic. One that was deleted and created anew begins
 * with offset 0 again, and sooner or later it has every offset that the one before had.
 *
 *   1. at the start, by the identity that the broker tells and manifests name
 *   2. where one of them says nothing, by the last archived record: the log must have it where it was, as old as it was. If it
 *      does not hold it any more, what it holds must be younger
 *   3. a committed offset that is the end of another topic is refused: what the new one has before it would be passed over
 *   4. before each commit, by the identity once more: readers of a log do not notice such a change
 */
export class ArchivedIdentity {
  private ids: ReadonlyMap<string, string> | null = null;

  constructor(
    private readonly parts: ArchiveParts,
    private readonly inputs: readonly TopicPartition[],
  ) {}

  idOf(topic: string): string | undefined {
    return this.ids?.get(topic);
  }

  /**
   * Steps 1 to 3, by partition name.
   *
   * @param offsets where each input goes on.
   * @throws TidemillError TOPIC_REPLACED
   */
  async begin(offsets: ReadonlyMap<string, number>): Promise<ReadonlyMap<string, ArchivedSoFar>> {
    const { log, project, writer } = this.parts;
    const topics = new Set(this.inputs.map(({ topic }) => topic));
    const ids = await log.topicIds([...topics]);
    const found = new Map<string, ArchivedSoFar>();
    for (const partition of new Set(this.inputs.map((each) => each.partition))) {
      const archive = await readIncarnations(log, project, { topics, partition });
      for (const place of this.inputs.filter((each) => each.partition === partition)) {
        const name = partitionName(place);
        const start = offsets.get(name) ?? 0;
        const incarnations = archive.get(place.topic)?.get(partition) ?? [];
        const own = await this.ownOf(place, incarnations, ids.get(place.topic));
        if (own !== null) {
          const written = own.ranges.filter((range) => range.writer === writer);
          found.set(name, { upTo: Math.max(start, endOf(written)), before: null });
          continue;
        }
        const before = endOf(incarnations.at(-1)?.ranges ?? []);
        // 3
        const low = (await log.offsets(place.topic)).find((each) => each.partition === partition)?.low ?? 0;
        if (incarnations.length > 0 && start === before && start > low) throw replaced(place, start);
        found.set(name, { upTo: start, before: incarnations.length === 0 ? null : before });
      }
    }
    this.ids = ids;
    return found;
  }

  /** Step 4. @throws TidemillError TOPIC_REPLACED */
  async check(): Promise<void> {
    if (this.ids === null || this.ids.size === 0) return;
    const now = await this.parts.log.topicIds([...this.ids.keys()]);
    for (const [topic, id] of this.ids) {
      const found = now.get(topic) ?? null;
      if (found === id) continue;
      const what = found === null ? 'it is gone' : `it is ${found} now`;
      throw new TidemillError('TOPIC_REPLACED', `${topic}: topic ${id} was being archived, and ${what}`, {
        topic,
        archived: id,
        found,
      });
    }
  }

  /** What is archived of the topic that has the name now; null where that is nothing. */
  private async ownOf(
    place: TopicPartition,
    incarnations: readonly Incarnation[],
    id: string | undefined,
  ): Promise<Incarnation | null> {
    // 1
    const last = incarnations.at(-1);
    if (last === undefined) return null;
    if (id !== undefined) {
      const own = incarnations.find(({ topicId }) => topicId === id);
      if (own !== undefined) return own;
      if (last.topicId !== null) return null;
    }
    // 2
    return (await this.isSame(place, last.ranges)) ? last : null;
  }

  private async isSame(place: TopicPartition, ranges: readonly ArchivedRange[]): Promise<boolean> {
    const { log, objects, offline } = this.parts;
    const newest = [...ranges].sort((a, b) => b.last - a.last).find(({ rows }) => rows > 0);
    const paths: string[] = [];
    for (const { uri, sha256 } of newest?.files ?? []) paths.push(await objects.localPath(uri, sha256));
    const row = await offline.archive.lastRow(paths);
    const { low, high } = (await log.offsets(place.topic)).find((each) => each.partition === place.partition) ?? {
      low: 0,
      high: 0,
    };
    if (high < endOf(ranges)) return false;
    if (row === null || row.appendedAt === null) return true;
    const from = Math.max(low, row.offset);
    for await (const [record] of log.read({ ...place, from, to: high })) {
      if (record === undefined) continue;
      if (low > row.offset) return record.timestamp >= row.appendedAt;
      return record.offset === row.offset && record.timestamp === row.appendedAt;
    }
    return low > row.offset;
  }
}

function endOf(ranges: readonly ArchivedRange[]): number {
  return ranges.reduce((end, { last }) => Math.max(end, last + 1), 0);
}

function replaced({ topic, partition }: TopicPartition, offset: number): TidemillError {
  return new TidemillError(
    'TOPIC_REPLACED',
    `${topic}-${partition}: offset ${offset} is committed, where an earlier topic of that name ended`,
    { topic, partition, offset },
  );
}
