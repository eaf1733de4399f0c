import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TidemillError } from '../../contracts/errors.js';
import { predictionsTopic, streamTopic } from '../../contracts/topics.js';
import { canonicalJson } from '../../features/hash.js';
import type { CompiledService, CompiledStream } from '../../features/compiledView.js';
import type { CompiledModel } from '../../models/definition.js';
import type { Log } from '../../stores/log/log.js';
import { diskFailure } from '../../stores/objects/diskFull.js';
import type { ObjectStore } from '../../stores/objects/objectStore.js';
import type { DatasetManifest, OfflineStore, VectorMatrix } from '../../stores/offline/offlineStore.js';
import { archiveFiles, type ArchivedFiles } from './archiveFiles.js';
import { datasetWindow, splitDataset, type Split } from './splitDataset.js';

/** A dataset as workflows pass it around: references with their checksums, and numbers. */
export interface BuiltDataset {
  readonly manifest: { readonly uri: string; readonly sha256: string };
  readonly data: { readonly uri: string; readonly sha256: string };
  readonly rows: number;
  readonly positives: number;
  readonly asServed: number;
  /** Rows whose served vector event time has otherwise; absent in datasets of earlier releases. */
  readonly skewed?: number;
  readonly columns: readonly string[];
  readonly nullShares: readonly number[];
  readonly labelledShare: number;
  readonly split: Split;
  /** The same rows as the champion's inputs, where it reads others; left out where it reads the same. */
  readonly reference?: ReferenceVectors;
}

/** The rows of a dataset as another service says them. */
export interface ReferenceVectors {
  readonly service: string;
  readonly data: { readonly uri: string; readonly sha256: string };
  readonly columns: readonly string[];
}

/** Requests below this many ms of the newest label are not counted as unlabelled: labels trickle in. */
const LABEL_SLACK_MS = 3_600_000;

/**
 * Builds the dataset of a retrain from the archive: feature service x requests x labels known by the cut-off,
 * point-in-time, in (time, id) order; and its manifest, which is the version of the data.
 *
 * @param onset start of the change, after drift; else null.
 * @param reference what the champion reads, where that is another service: it is judged on its own inputs.
 */
export async function buildDataset(
  parts: { readonly log: Log; readonly objects: ObjectStore; readonly offline: OfflineStore; readonly project: string },
  model: CompiledModel,
  onset: number | null,
  reference: CompiledService | null,
  onProgress: (share: number) => void,
): Promise<BuiltDataset> {
  const { log, objects, offline, project } = parts;
  const archived = await archiveFiles(log, project);
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-dataset-'));
  try {
    const local = async (topic: string): Promise<string[]> =>
      Promise.all((archived.get(topic)?.files ?? []).map(({ uri, sha256 }) => objects.localPath(uri, sha256)));
    const filesOf = async (stream: CompiledStream): Promise<string[]> => local(streamTopic(project, stream.name));
    const streams = new Map([model.request, model.label.stream].map((stream) => [stream.name, stream]));
    for (const input of [...(reference?.inputs ?? []), ...model.service.inputs])
      if (input.kind === 'view') streams.set(input.view.stream.name, input.view.stream);
    const files: Record<string, string[]> = {};
    for (const stream of streams.values()) files[stream.name] = await filesOf(stream);

    const labelFiles = files[model.label.stream.name] ?? [];
    if (labelFiles.length === 0) {
      throw new TidemillError('ARCHIVE_BEHIND', `the archive has no labels of ${model.label.stream.name} yet`, {
        stream: model.label.stream.name,
      });
    }
    const cutOff = await newestTime(offline, model.label.stream, labelFiles);
    const window = datasetWindow(cutOff - model.label.delayMs, model.split, model.label.delayMs, onset);
    const served = await local(predictionsTopic(project, model.name));
    /** Rows as a service says them: as served where it served, else in event time. */
    const rowsOf = async (service: CompiledService, name: string, progress: (share: number) => void) => {
      const vectors = await offline.computeVectors({
        service,
        files,
        ...window,
        entity: model.entity,
        withFields: true,
        output: join(folder, `${name}-vectors.parquet`),
        onProgress: progress,
      });
      const table = await offline.joinDataset({
        vectors,
        service,
        labels: { ...model.label, files: labelFiles },
        served,
        labelCutOff: cutOff,
        output: join(folder, `${name}.parquet`),
      });
      return { vectors, table };
    };
    const { vectors, table } = await rowsOf(model.service, 'dataset', (share) => onProgress(share * 0.5));
    const other =
      reference === null ? null : await rowsOf(reference, 'reference', (share) => onProgress(0.5 + share * 0.3));
    onProgress(0.9);
    const matrix = await offline.readVectors(table);
    const split = splitDataset(matrix, window, model.split, model.label.delayMs, onset);
    const data = await objects.putFile('datasets', 'parquet', table.file);
    const manifest: DatasetManifest = {
      uri: data.uri,
      sha256: data.sha256,
      rows: table.rows,
      positives: table.positives,
      columns: table.columns,
      service: model.service.hash,
      viewHashes: model.service.inputs.map(({ view }) => view.hash),
      window: { ...window, labelCutOff: cutOff },
      asServed: table.asServed,
      eventTime: table.rows - table.asServed,
      offsets: Object.fromEntries([...archived].map(([topic, { upTo }]: [string, ArchivedFiles]) => [topic, upTo])),
    };
    const stored = await objects.put('manifests', 'json', Buffer.from(canonicalJson(manifest)));
    const compared = other === null ? null : await objects.putFile('datasets', 'parquet', other.table.file);
    onProgress(1);
    return {
      manifest: { uri: stored.uri, sha256: stored.sha256 },
      data: { uri: data.uri, sha256: data.sha256 },
      rows: table.rows,
      positives: table.positives,
      asServed: table.asServed,
      skewed: table.skewed,
      columns: table.columns,
      nullShares: nullShares(matrix),
      labelledShare: labelledShare(table.rows, vectors.rows),
      split,
      ...(reference === null || other === null || compared === null
        ? {}
        : {
            reference: {
              service: reference.hash,
              data: { uri: compared.uri, sha256: compared.sha256 },
              columns: other.table.columns,
            },
          }),
    };
  } catch (error) {
    throw diskFailure(folder, error);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Greatest event time of a stream's files: up to there its labels are known. */
async function newestTime(offline: OfflineStore, stream: CompiledStream, files: readonly string[]): Promise<number> {
  let newest = Number.NEGATIVE_INFINITY;
  for await (const events of offline.readEvents(stream, files))
    for (const { time } of events) newest = Math.max(newest, time);
  return Math.floor(newest - LABEL_SLACK_MS);
}

function labelledShare(labelled: number, requests: number): number {
  return requests === 0 ? 0 : labelled / requests;
}

function nullShares({ rows, columns, values }: VectorMatrix): number[] {
  return columns.map((_, column) => {
    let nulls = 0;
    for (let row = 0; row < rows; row++) if (Number.isNaN(values[row * columns.length + column])) nulls++;
    return rows === 0 ? 1 : nulls / rows;
  });
}

/** Loads a built dataset, checked against its SHA-256. */
export async function loadDataset(
  parts: { readonly objects: ObjectStore; readonly offline: OfflineStore },
  dataset: BuiltDataset,
  fields: number,
): Promise<VectorMatrix> {
  const file = await parts.objects.localPath(dataset.data.uri, dataset.data.sha256);
  return parts.offline.readVectors({ file, rows: dataset.rows, columns: dataset.columns, labelled: true, fields });
}
