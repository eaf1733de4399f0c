import { archiveFiles, type ArchivedFiles } from '../activities/dataset/archiveFiles.js';
import { isTidemillError, TidemillError } from '../contracts/errors.js';
import type { PredictionLineage, VersionLineage } from '../contracts/lineageReport.js';
import type { CutRecord, FoldedRequests, PredictionRecord, SourcePosition } from '../contracts/records.js';
import { cutsTopic, predictionsTopic, streamTopic } from '../contracts/topics.js';
import type { LoggedEvent, Value } from '../features/types.js';
import type { CompiledModel } from '../models/definition.js';
import type { Log } from '../stores/log/log.js';
import { partitionOf } from '../stores/log/partitioner.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { DatasetManifest, OfflineStore } from '../stores/offline/offlineStore.js';
import type { Registry } from '../stores/registry/registry.js';
import { archivedTopics, predictionStream } from '../streams/topologies/archive/archivedTopics.js';
import { findNewest } from './findRecord.js';

export interface LineageParts {
  readonly project: string;
  readonly log: Log;
  readonly registry: Registry;
  readonly objects: ObjectStore;
  /** Opened where the archive has to be read. */
  readonly offline: () => Promise<OfflineStore>;
}

type Found = Pick<
  PredictionRecord,
  'id' | 'at' | 'version' | 'role' | 'epoch' | 'score' | 'decision' | 'service' | 'source' | 'cut'
> & { readonly place: SourcePosition; readonly foundIn: PredictionLineage['foundIn'] };

/**
 * Where a prediction comes from. It and its cut are looked for in the log first, and then in the archive, which keeps what
 * the log has let go; of several answers to one id the newest counts.
 *
 * @param id as text, whatever its type is in the request.
 * @throws TidemillError PREDICTION_NOT_FOUND, VERSION_NOT_FOUND where another registry holds the version.
 */
export async function predictionLineage(
  parts: LineageParts,
  model: CompiledModel,
  id: string,
): Promise<PredictionLineage> {
  const prediction = (await inLog(parts, model, id)) ?? (await inArchive(parts, model, id));
  if (prediction === null) {
    throw new TidemillError(
      'PREDICTION_NOT_FOUND',
      `neither ${predictionsTopic(parts.project, model.name)} nor its archive has a prediction ${id}`,
      { model: model.name, id },
    );
  }
  const { at, version, source, cut, ...rest } = prediction;
  return {
    ...rest,
    at: new Date(at).toISOString(),
    model: model.name,
    cut: await cutOf(parts, model, source, cut),
    version: version === 0 ? null : await versionLineage(parts, model.name, version),
  };
}

async function inLog({ log, project }: LineageParts, model: CompiledModel, id: string): Promise<Found | null> {
  // The text is looked at first: to parse every prediction would take many times as long.
  const needles = [`"id":${JSON.stringify(id)}`, ...(/^-?\d+$/.test(id) ? [`"id":${id},`] : [])];
  const record = await findNewest(log, predictionsTopic(project, model.name), ({ value }) => {
    if (value === null || !needles.some((needle) => value.includes(needle))) return false;
    return String((JSON.parse(value.toString('utf8')) as PredictionRecord).id) === id;
  });
  const found = JSON.parse(record?.value?.toString('utf8') ?? 'null') as PredictionRecord | null;
  if (record === null || found === null) return null;
  const { topic, partition, offset } = record;
  const { at, version, role, epoch, score, decision, service, source, cut } = found;
  const place = { topic, partition, offset };
  return { id: found.id, at, version, role, epoch, score, decision, service, source, cut, place, foundIn: 'log' };
}

async function inArchive(parts: LineageParts, model: CompiledModel, id: string): Promise<Found | null> {
  const topic = predictionsTopic(parts.project, model.name);
  const row = await archivedRow(parts, model, topic, (value) => String(value('id')) === id);
  if (row === null) return null;
  const { value, event } = row;
  const text = (name: string): string => value(name) as string;
  const number = (name: string): number => value(name) as number;
  return {
    id: value('id') as number | string,
    at: number('at'),
    version: number('version'),
    role: text('role') as PredictionRecord['role'],
    epoch: number('epoch'),
    score: number('score'),
    decision: text('decision'),
    service: text('service'),
    source: {
      topic: streamTopic(parts.project, model.request.name),
      partition: number('request_partition'),
      offset: number('request_offset'),
    },
    cut: value('cut') as string | null,
    place: { topic, partition: event.partition, offset: event.offset },
    foundIn: 'archive',
  };
}

/** What was known beside the request. */
async function cutOf(
  parts: LineageParts,
  model: CompiledModel,
  request: SourcePosition,
  id: string | null,
): Promise<PredictionLineage['cut']> {
  if (id === null) return { request, folded: {}, requests: {} };
  const cut = await cutRecord(parts, model, id);
  return { request, folded: cut?.folded ?? null, requests: cut === null ? null : countedRequests(cut, request) };
}

function countedRequests({ requests = {} }: CutRecord, request: SourcePosition) {
  const ranges = (folded: FoldedRequests) =>
    Object.entries(folded).map(([partition, [first, last, ...gaps]]) => {
      const starts = [first, ...gaps.map(([, to]) => to)];
      const ends = [...gaps.map(([from]) => from), last ?? request.offset + 1];
      return [partition, starts.map((from, at) => [from, ends[at] as number] as const)];
    });
  return Object.fromEntries(
    Object.entries(requests).map(([field, folded]) => [field, Object.fromEntries(ranges(folded))]),
  ) as NonNullable<PredictionLineage['cut']['requests']>;
}

/** Null where it is in no place any more. */
async function cutRecord(parts: LineageParts, model: CompiledModel, cut: string): Promise<CutRecord | null> {
  const { log, project } = parts;
  const topic = cutsTopic(project, model.name);
  const partitions = await log.partitionCount(topic);
  const record =
    partitions === null
      ? null
      : // Cuts are keyed by their id.
        await findNewest(log, topic, ({ key }) => key?.toString('utf8') === cut, [partitionOf(cut, partitions)]);
  const text =
    record?.value?.toString('utf8') ??
    (await archivedRow(parts, model, topic, (value) => value('key') === cut))?.value('value');
  return typeof text === 'string' ? (JSON.parse(text) as CutRecord) : null;
}

interface ArchivedRow {
  readonly event: LoggedEvent;
  readonly value: (field: string) => Value;
}

/** The last row that matches in the newest file of a topic's archive that has one. */
async function archivedRow(
  { log, project, objects, offline }: LineageParts,
  model: CompiledModel,
  topic: string,
  matches: (value: ArchivedRow['value']) => boolean,
): Promise<ArchivedRow | null> {
  const archived: ArchivedFiles | undefined = (await archiveFiles(log, project)).get(topic);
  // A prediction's own fields are asked for; its vector may be that of any version.
  const stream =
    topic === predictionsTopic(project, model.name)
      ? predictionStream(model, 0)
      : archivedTopics(project, model).find((each) => each.topic === topic)?.stream;
  if (archived === undefined || stream === undefined) return null;
  const column = new Map(stream.fields.map(({ name }, at) => [name, at]));
  const store = await offline();
  for (const { uri, sha256 } of [...archived.files].reverse()) {
    let found: ArchivedRow | null = null;
    for await (const events of store.readEvents(stream, [await objects.localPath(uri, sha256)])) {
      for (const event of events) {
        const value = (field: string): Value => event.values[column.get(field) ?? -1] ?? null;
        if (matches(value)) found = { event, value };
      }
    }
    if (found !== null) return found;
  }
  return null;
}

async function versionLineage(
  { registry, objects }: LineageParts,
  model: string,
  version: number,
): Promise<VersionLineage> {
  const found = await registry.version(model, version);
  if (found === null)
    throw new TidemillError('VERSION_NOT_FOUND', `${model} has no version ${version}`, { model, version });
  const { status, trainer, trigger, codeVersion, workflow, artifact, lineage, dataset } = found;
  return {
    version,
    status,
    trainer,
    trigger,
    createdAt: new Date(found.createdAt).toISOString(),
    codeVersion,
    workflow,
    artifact: { uri: artifact.uri, sha256: artifact.sha256 },
    views: lineage.views ?? {},
    dataset: { uri: dataset.uri, sha256: dataset.sha256, content: await contentOf(objects, dataset) },
  };
}

async function contentOf(
  objects: ObjectStore,
  { uri, sha256 }: { readonly uri: string; readonly sha256: string },
): Promise<VersionLineage['dataset']['content']> {
  try {
    const manifest = JSON.parse((await objects.get(uri, sha256)).toString('utf8')) as DatasetManifest;
    const { rows, positives, asServed, window, offsets } = manifest;
    return {
      rows,
      positives,
      asServed,
      from: new Date(window.from).toISOString(),
      to: new Date(window.to).toISOString(),
      labelCutOff: new Date(window.labelCutOff).toISOString(),
      offsets,
    };
  } catch (error) {
    if (isTidemillError(error, 'OBJECT_NOT_FOUND')) return null;
    throw error;
  }
}
