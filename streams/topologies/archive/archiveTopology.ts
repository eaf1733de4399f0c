import { randomUUID } from 'node:crypto';
import { rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { REPLAY_HEADER } from '../../../contracts/deadLetters.js';
import type { ArchiveManifestRecord } from '../../../contracts/records.js';
import { archiveTopic, groupId, type TopologyIdentity } from '../../../contracts/topics.js';
import type { LoggedEvent, Value } from '../../../features/types.js';
import type { CompiledService } from '../../../features/compiledView.js';
import type { CompiledModel } from '../../../models/definition.js';
import { manifestRecord } from '../../../stores/archive/manifestRecord.js';
import type { Log, LogRecord, TopicPartition } from '../../../stores/log/log.js';
import type { ObjectStore } from '../../../stores/objects/objectStore.js';
import type { OfflineStore } from '../../../stores/offline/offlineStore.js';
import { partitionName } from '../../runtime/taskInputs.js';
import type { Output, ParsedRecord, StreamTask, Topology } from '../../runtime/topology.js';
import { ArchivedIdentity } from './archivedIdentity.js';
import { archivedTopics, type ArchivedTopic } from './archivedTopics.js';

/** Rows held before files are written although no commit is due. */
const MAX_PENDING_ROWS = 200_000;
/** Or so many bytes of keys and values: rows of dead letters may be large. */
const MAX_PENDING_BYTES = 64 * 2 ** 20;

/**
 * Every topic to Parquet. A manifest record names each file with its range of offsets, and is produced in the transaction
 * that commits these offsets: readers see only files that a manifest names, and what a crash leaves behind is named by none.
 */
export function archiveTopology(options: {
  readonly project: string;
  readonly model: CompiledModel;
  /** Of versions in use, besides the definition's. */
  readonly services?: readonly CompiledService[];
  readonly generation: number;
  readonly partitions: number;
  readonly log: Log;
  readonly offline: OfflineStore;
  readonly objects: ObjectStore;
}): Topology {
  const { project, model, partitions } = options;
  const identity: TopologyIdentity = { project, name: `archive.${model.name}`, generation: options.generation };
  const topics = archivedTopics(project, model, options.services);
  // Topics that other topologies fill may not be there yet; the users' own streams must be.
  const produced = topics.filter(({ isProduced }) => isProduced).map(({ topic }) => topic);
  return {
    identity,
    sources: topics.map(({ topic }) => ({ topic, start: 'earliest' })),
    outputs: [archiveTopic(project), ...produced].map((topic) => ({ topic, partitions })),
    stages: [
      {
        name: 'archive',
        does: 'writes Parquet files and their manifests',
        reads: topics.map(({ topic }) => topic),
        keeps: [],
        uses: ['object store'],
        writes: [archiveTopic(project)],
      },
    ],
    outlivesOffsets: true,
    taskOf: ({ partition }) => `archive-${partition}`,
    createTask: (_id, inputs) => new ArchiveTask(options, identity, topics, inputs),
  };
}

interface Buffered {
  readonly topic: ArchivedTopic;
  readonly partition: number;
  /** Offset after the last one that a manifest covers; null before it is known where the task starts. */
  covered: number | null;
  /** End of an earlier topic of that name in the archive, until a manifest says that it is another one. */
  before: number | null;
  events: LoggedEvent[];
  /** Files of rows that no manifest names yet. */
  files: { readonly uri: string; readonly sha256: string }[];
  rows: number;
}

class ArchiveTask implements StreamTask {
  readonly stateIdentity = 'archive/1';
  readonly watermark = null;
  private readonly buffers = new Map<string, Buffered>();
  private readonly writer: string;
  private readonly archived: ArchivedIdentity;
  private isBegun = false;
  private rows = 0;
  private bytes = 0;
  readonly notes: string[] = [];

  constructor(
    private readonly options: {
      readonly project: string;
      readonly partitions: number;
      readonly log: Log;
      readonly offline: OfflineStore;
      readonly objects: ObjectStore;
    },
    private readonly identity: TopologyIdentity,
    topics: readonly ArchivedTopic[],
    inputs: readonly TopicPartition[],
  ) {
    this.writer = groupId(identity);
    this.archived = new ArchivedIdentity({ ...options, writer: this.writer }, inputs);
    for (const input of inputs) {
      const topic = topics.find((each) => each.topic === input.topic) as ArchivedTopic;
      this.buffers.set(partitionName(input), {
        topic,
        partition: input.partition,
        covered: null,
        before: null,
        events: [],
        files: [],
        rows: 0,
      });
    }
  }

  parse(record: LogRecord): ParsedRecord<readonly Value[] | null> {
    const buffer = this.buffers.get(partitionName(record)) as Buffered;
    return { record, time: record.timestamp, content: buffer.topic.row(record) };
  }

  fold({ record, content }: ParsedRecord, _output: Output, replay: boolean): void {
    if (replay) return;
    const buffer = this.buffers.get(partitionName(record)) as Buffered;
    buffer.covered ??= record.offset;
    // Archived before, though the group's offsets say otherwise: they were lost, or restored from an older copy.
    if (record.offset < buffer.covered) return;
    const values = content as readonly Value[] | null;
    if (values === null) return;
    const mark = record.headers[REPLAY_HEADER];
    buffer.events.push({
      time: record.timestamp,
      id: record.offset,
      values,
      partition: record.partition,
      offset: record.offset,
      appendedAt: record.timestamp,
      ...(mark === undefined ? {} : { replay: mark.toString() }),
    });
    this.rows++;
    this.bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0);
  }

  get pendingRows(): number {
    // The runtime drains in micro-batches; files are worth far more rows.
    return this.rows >= MAX_PENDING_ROWS || this.bytes >= MAX_PENDING_BYTES ? Number.MAX_SAFE_INTEGER : 0;
  }

  async drain(): Promise<void> {
    await this.archived.check();
    for (const buffer of this.buffers.values()) {
      const { topic, events } = buffer;
      if (events.length === 0) continue;
      buffer.files.push(await this.write(topic, events));
      buffer.rows += events.length;
      buffer.events = [];
    }
    this.rows = 0;
    this.bytes = 0;
  }

  private async write(topic: ArchivedTopic, events: readonly LoggedEvent[]): Promise<{ uri: string; sha256: string }> {
    const file = join(tmpdir(), `tidemill-archive-${randomUUID()}.parquet`);
    const stream = topic.fitted?.(events.map(({ values }) => values)) ?? topic.stream;
    const fields = stream.fields.length;
    const rows = events.map((event) => {
      const missing = fields - event.values.length;
      return missing === 0 ? event : { ...event, values: [...event.values, ...new Array<Value>(missing).fill(null)] };
    });
    const prefix = `archive/${this.identity.project}/${topic.topic}`;
    try {
      await this.options.offline.writeEvents(stream, file, rows);
      const { uri, sha256 } = await this.options.objects.putFile(prefix, 'parquet', file);
      return { uri, sha256 };
    } finally {
      await rm(file, { force: true });
    }
  }

  /** One manifest a partition, from where the last one ended: a range without rows says that there are none. */
  flush(output: Output, offsets: ReadonlyMap<string, number>): void {
    for (const [name, buffer] of this.buffers) {
      const { topic, partition, covered, before, rows, files } = buffer;
      const next = offsets.get(name);
      if (covered === null || next === undefined || next <= covered) continue;
      const id = this.archived.idOf(topic.topic);
      const manifest: ArchiveManifestRecord = {
        topic: topic.topic,
        partition,
        first: covered,
        last: next - 1,
        rows,
        files,
        writer: this.writer,
        ...(id === undefined ? {} : { topicId: id }),
        ...(before === null ? {} : { begins: true }),
      };
      output.emit(manifestRecord(this.options.project, manifest, this.options.partitions));
      buffer.covered = next;
      buffer.before = null;
      buffer.files = [];
      buffer.rows = 0;
    }
  }

  /** Once, before anything is folded: is what is archived of the topics that are there now? */
  async settle(offsets: ReadonlyMap<string, number>): Promise<void> {
    if (this.isBegun) return;
    for (const [name, { upTo, before }] of await this.archived.begin(offsets)) {
      const buffer = this.buffers.get(name) as Buffered;
      buffer.covered = upTo;
      buffer.before = before;
      if (before !== null)
        this.notes.push(`${name} was created anew: offsets up to ${before - 1} of an earlier topic are kept apart`);
    }
    this.isBegun = true;
  }

  committed(offsets: ReadonlyMap<string, number>): void {
    for (const [name, buffer] of this.buffers) buffer.covered ??= offsets.get(name) ?? null;
  }
  snapshot(): [] {
    return [];
  }
  restore(): void {
    // Nothing is stored: the offsets of the header are all there is.
  }
}
