import { setImmediate as nextTurn } from 'node:timers/promises';
import type { AuditEnds, SkewCause } from '../../contracts/consistency.js';
import type { CutRecord } from '../../contracts/records.js';
import { archiveTopic, cutsTopic, predictionsTopic, streamTopic } from '../../contracts/topics.js';
import type { CompiledService, CompiledStream } from '../../features/compiledView.js';
import type { LoggedEvent, Value } from '../../features/types.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Log } from '../../stores/log/log.js';
import type { ObjectStore } from '../../stores/objects/objectStore.js';
import type { ServedRow } from '../../stores/offline/archiveReader.js';
import type { OfflineStore } from '../../stores/offline/offlineStore.js';
import { archivedRanges, localFiles, partsOf, unarchived, type PartitionParts } from './archivedRanges.js';
import { compareRow, type ColumnDifference } from './compareRow.js';
import { eventOf, eventsIn, KeyedEvents, keyOf } from './keyedEvents.js';
import { streamsOfViews } from './finality.js';
import { jsonOf } from './readTopic.js';

export interface AuditParts {
  readonly log: Log;
  readonly objects: ObjectStore;
  readonly offline: OfflineStore;
  readonly project: string;
}

/** What recomputing a row found; `missing` says what of it is not there any more. */
export interface AuditedVector {
  readonly row: ServedRow;
  /** Value of the model's clustering entity; null where the request is gone, or has none. */
  readonly entity: number | string | null;
  readonly missing: string | null;
  readonly broken: readonly ColumnDifference[];
  readonly skewed: readonly ColumnDifference[];
  readonly cause: SkewCause | null;
}

/** Called now and then, with how much is done: beats, and rejects where the audit is cancelled. */
export type Checkpoint = (share: number) => Promise<void>;

/** Vectors take the event loop for so long at most. */
const TURN_MS = 10;

/** Where every topic that an audit of vectors of these services reads ends now. */
export async function takeEnds(
  log: Log,
  project: string,
  model: CompiledModel,
  services: readonly CompiledService[],
): Promise<AuditEnds> {
  const topics = [
    predictionsTopic(project, model.name),
    ...new Set(services.flatMap((service) => topicsOf(project, model, service))),
  ];
  const ends = await Promise.all(
    topics.map(async (topic) => {
      const offsets = (await log.partitionCount(topic)) === null ? [] : await log.offsets(topic);
      return [topic, Object.fromEntries(offsets.map(({ partition, high }) => [partition, high]))] as const;
    }),
  );
  return Object.fromEntries(ends);
}

/** Where the topics of an audit are to be read: the archive, and the log for what is not archived yet. */
export async function partsOfTopics(
  { log, project }: AuditParts,
  ends: AuditEnds,
  topics: readonly string[],
): Promise<ReadonlyMap<string, readonly PartitionParts[]>> {
  const hasArchive = (await log.partitionCount(archiveTopic(project))) !== null;
  const archived = hasArchive ? await archivedRanges(log, project, new Set(topics)) : new Map<string, never>();
  const parts = await Promise.all(
    topics.map(async (topic) => [topic, await partsOf(log, topic, archived.get(topic), ends[topic] ?? {})] as const),
  );
  return new Map(parts);
}

/** What is read to recompute the vectors of a service. */
function topicsOf(project: string, model: CompiledModel, service: CompiledService): string[] {
  const streams = new Set([service.request.name, ...streamsOfViews(service).map(({ name }) => name)]);
  return [cutsTopic(project, model.name), ...[...streams].map((name) => streamTopic(project, name))];
}

/**
 * Recomputes vectors that were served under one service: 1 their requests, 2 their cuts, 3 the events of their keys, 4 each vector twice. Only what
 * belongs to these rows is held in memory.
 *
 * @throws TidemillError OFFSET_LOST, AUDIT_TOO_LARGE
 */
export async function recompute(
  audit: AuditParts,
  model: CompiledModel,
  service: CompiledService,
  rows: readonly ServedRow[],
  ends: AuditEnds,
  checkpoint: Checkpoint,
): Promise<readonly AuditedVector[]> {
  const { project } = audit;
  const { request: stream } = service;
  const parts = await partsOfTopics(audit, ends, topicsOf(project, model, service));
  const partsOfTopic = (topic: string): readonly PartitionParts[] => parts.get(topic) ?? [];
  // 1
  const requests = await readRequests(audit, stream, rows, partsOfTopic(streamTopic(project, stream.name)), () =>
    checkpoint(0),
  );
  // 2
  const cuts = await readCuts(audit, model, rows, partsOfTopic(cutsTopic(project, model.name)), () => checkpoint(0.1));
  // 3
  const events = wantedEvents(service, requests.values());
  for (const [at, each] of [...events.values()].entries()) {
    const topic = streamTopic(project, each.stream.name);
    await each.read(audit, partsOfTopic(topic), () => checkpoint(0.2 + (0.4 * at) / events.size));
  }
  // 4
  const eventsOf = eventsIn(events);
  // Fields may lie elsewhere in the stream as the service knows it.
  const entityName = model.request.fields[model.entity]?.name;
  const entityAt = stream.fields.findIndex(({ name }) => name === entityName);
  const audited: AuditedVector[] = [];
  let turnAt = performance.now();
  for (const row of rows) {
    audited.push(auditRow(row));
    if (performance.now() - turnAt < TURN_MS) continue;
    await nextTurn();
    await checkpoint(0.6 + (0.4 * audited.length) / rows.length);
    turnAt = performance.now();
  }
  return audited;

  function auditRow(row: ServedRow): AuditedVector {
    const request = requests.get(`${row.partition}/${row.offset}`);
    const entity = (request?.values[entityAt] ?? null) as AuditedVector['entity'];
    const nothing = { row, entity, broken: [], skewed: [], cause: null };
    if (request === undefined) return { ...nothing, missing: 'there is no such request' };
    const cut = row.cut === null ? null : cutOf(cuts.get(row.cut) ?? [], row);
    if (cut === undefined) return { ...nothing, missing: `there is no cut ${row.cut ?? ''}` };
    return { row, entity, missing: null, ...compareRow(project, service, row, request, cut, eventsOf) };
  }
}

interface FoundCut {
  readonly cut: CutRecord;
  readonly appendedAt: number;
}

/** A topology that was reset counts its cuts anew: of several of one name the one that came with the prediction counts. */
function cutOf(found: readonly FoundCut[], { appendedAt }: ServedRow): CutRecord | undefined {
  const apart = (each: FoundCut): number =>
    appendedAt === null ? -each.appendedAt : Math.abs(each.appendedAt - appendedAt);
  return [...found].sort((a, b) => apart(a) - apart(b))[0]?.cut;
}

/** Requests of the rows, by place. */
async function readRequests(
  { log, objects, offline, project }: AuditParts,
  request: CompiledStream,
  rows: readonly ServedRow[],
  parts: readonly PartitionParts[],
  checkpoint: () => Promise<void>,
): Promise<ReadonlyMap<string, LoggedEvent>> {
  const found = new Map<string, LoggedEvent>();
  for (const { partition, archived, logFrom, end } of parts) {
    const wanted = rows.filter((row) => row.partition === partition).map(({ offset }) => offset);
    const inArchive = new Set(wanted.filter((offset) => offset < logFrom));
    // Whole ranges are left alone where no request of the sample lies in them.
    const ranges = archived.filter(({ first, last }) =>
      [...inArchive].some((offset) => offset >= first && offset <= last),
    );
    for (let at = 0; at < ranges.length; at += FILES_AT_ONCE) {
      await checkpoint();
      const some = ranges.slice(at, at + FILES_AT_ONCE);
      const places = [...inArchive].map((offset) => ({ partition, offset }));
      for (const event of await offline.archive.eventsAt(request, await localFiles(objects, some), places))
        found.set(`${partition}/${event.offset}`, event);
    }
    const inLog = new Set(wanted.filter((offset) => offset >= logFrom && offset < end));
    if (inLog.size === 0) continue;
    const [first, last] = [...inLog].reduce(
      ([low, high], each) => [Math.min(low, each), Math.max(high, each)],
      [end, 0],
    );
    const topic = streamTopic(project, request.name);
    for await (const records of log.read({ topic, partition, from: first, to: last + 1 })) {
      await checkpoint();
      for (const record of records) {
        if (!inLog.has(record.offset)) continue;
        const event = eventOf(request, record);
        if (event !== null) found.set(`${partition}/${record.offset}`, event);
      }
    }
  }
  return found;
}

const FILES_AT_ONCE = 100;

/** Cuts that the rows name, by id. */
async function readCuts(
  { log, objects, offline, project }: AuditParts,
  model: CompiledModel,
  rows: readonly ServedRow[],
  parts: readonly PartitionParts[],
  checkpoint: () => Promise<void>,
): Promise<ReadonlyMap<string, readonly FoundCut[]>> {
  const wanted = new Set(rows.flatMap(({ cut }) => (cut === null ? [] : [cut])));
  const found = new Map<string, FoundCut[]>();
  const keep = (cut: CutRecord, appendedAt: number): void => {
    found.set(cut.id, [...(found.get(cut.id) ?? []), { cut, appendedAt }]);
  };
  if (wanted.size === 0) return found;
  for (const part of parts) {
    const { archived } = part;
    for (let at = 0; at < archived.length; at += FILES_AT_ONCE) {
      await checkpoint();
      const files = await localFiles(objects, archived.slice(at, at + FILES_AT_ONCE));
      for (const { text, appendedAt } of await offline.archive.textsOf(files, [...wanted]))
        keep(JSON.parse(text) as CutRecord, appendedAt);
    }
    for await (const records of unarchived(log, cutsTopic(project, model.name), part)) {
      await checkpoint();
      for (const record of records)
        if (record.key !== null && wanted.has(record.key.toString('utf8')))
          keep(jsonOf<CutRecord>(record), record.timestamp);
    }
  }
  return found;
}

/** What the views need at the requests, by stream and key. */
function wantedEvents(service: CompiledService, requests: Iterable<LoggedEvent>): ReadonlyMap<string, KeyedEvents> {
  const wanted = new Map<string, KeyedEvents>();
  for (const input of service.inputs) {
    if (input.kind === 'view' && !wanted.has(keyOf(input.view)))
      wanted.set(keyOf(input.view), new KeyedEvents(input.view.stream, input.view.key));
  }
  for (const request of requests) {
    for (const input of service.inputs) {
      if (input.kind === 'request') continue;
      const key = request.values[input.requestKey] as Value;
      if (key !== null) wanted.get(keyOf(input.view))?.want(input.view, key, request.time);
    }
  }
  return wanted;
}
