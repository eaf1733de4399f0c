import { mkdir, rename, rm } from 'node:fs/promises';
import { dirname } from 'node:path';
import { randomUUID } from 'node:crypto';
import { DuckDBInstance, type DuckDBConnection, type DuckDBValue } from '@duckdb/node-api';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { CompiledInput, CompiledStream } from '../../features/compiledView.js';
import {
  eventColumns,
  eventRange,
  factsQuery,
  lowerService,
  type ViewFacts,
} from '../../features/duckdb/lowerService.js';
import { identifier, textLiteral } from '../../features/duckdb/sqlText.js';
import type { EventId, LoggedEvent, Value } from '../../features/types.js';
import { datasetSql } from './datasetSql.js';
import { duckdbArchive } from './duckdbArchive.js';
import { contractSetting, eventFiles } from './eventFiles.js';
import { mergeEventFiles } from './mergeEventFiles.js';
import type {
  DatasetQuery,
  JoinedTable,
  OfflineStore,
  VectorMatrix,
  VectorQuery,
  VectorTable,
} from './offlineStore.js';
import { APPEND_TIME, parquet, REPLAY, toValue, writeParquet } from './parquetFiles.js';

export interface DuckdbStoreOptions {
  /** Like `2GB`. @default 80 % of the machine's memory, DuckDB's own default */
  readonly memoryLimit?: string;
  /** @default all cores */
  readonly threads?: number;
  /** Where DuckDB may spill. @default next to the files it writes */
  readonly temporaryDirectory?: string;
}

/** Opens the batch store over an in-memory DuckDB; all that lasts is in Parquet files. */
export async function openDuckdbStore(options: DuckdbStoreOptions = {}): Promise<OfflineStore> {
  const instance = await DuckDBInstance.create(':memory:', {
    ...(options.memoryLimit === undefined ? {} : { memory_limit: options.memoryLimit }),
    ...(options.threads === undefined ? {} : { threads: String(options.threads) }),
    ...(options.temporaryDirectory === undefined ? {} : { temp_directory: options.temporaryDirectory }),
  });
  return new DuckdbStore(instance);
}

/** Gives every operation a connection of its own: one connection runs one statement at a time. */
class DuckdbStore implements OfflineStore {
  readonly archive = duckdbArchive((what, sql) => this.use((session) => session.rows(what, sql)));

  constructor(private readonly instance: DuckDBInstance) {}

  private async use<T>(act: (session: Session) => Promise<T>): Promise<T> {
    const connection = await this.instance.connect();
    try {
      return await act(new Session(connection));
    } finally {
      connection.closeSync();
    }
  }

  writeEvents(stream: CompiledStream, path: string, events: readonly LoggedEvent[]): Promise<number> {
    return this.use((session) => session.writeEvents(stream, path, events));
  }
  async *readEvents(stream: CompiledStream, files: readonly string[]): AsyncIterable<readonly LoggedEvent[]> {
    const connection = await this.instance.connect();
    try {
      yield* new Session(connection).readEvents(stream, files);
    } finally {
      connection.closeSync();
    }
  }
  mergeEvents(
    files: readonly string[],
    range: { readonly from: number; readonly to: number },
    output: string,
  ): Promise<number> {
    return this.use((session) => mergeEventFiles((what, sql) => session.rows(what, sql), files, range, output));
  }
  computeVectors(query: VectorQuery): Promise<VectorTable> {
    return this.use((session) => session.computeVectors(query));
  }
  joinDataset(query: DatasetQuery): ReturnType<OfflineStore['joinDataset']> {
    return this.use((session) => session.joinDataset(query));
  }
  readVectors(table: VectorTable): Promise<VectorMatrix> {
    return this.use((session) => session.readVectors(table));
  }

  async close(): Promise<void> {
    this.instance.closeSync();
  }
}

/** One operation on a connection. */
class Session {
  constructor(private readonly connection: DuckDBConnection) {}

  async writeEvents(stream: CompiledStream, path: string, events: readonly LoggedEvent[]): Promise<number> {
    const columns = [...eventColumns(stream), APPEND_TIME, REPLAY];
    const fields = stream.fields.length;
    const valueAt = (row: number, column: number): Value => {
      const event = events[row] as LoggedEvent;
      if (column < fields) return event.values[column] as Value;
      if (column === fields) return event.partition;
      if (column === fields + 1) return event.offset;
      return (column === fields + 2 ? event.appendedAt : event.replay) ?? null;
    };
    await writeParquet(this.connection, path, columns, events.length, valueAt, contractSetting(stream));
    return events.length;
  }

  /** Event files as one relation under the contract of today. */
  private eventsIn(stream: CompiledStream, files: readonly string[]): Promise<string> {
    return eventFiles((what, sql) => this.rows(what, sql), stream, files);
  }

  async *readEvents(stream: CompiledStream, files: readonly string[]): AsyncIterable<readonly LoggedEvent[]> {
    if (files.length === 0) return;
    const columns = [...eventColumns(stream), APPEND_TIME, REPLAY];
    const select = columns
      .map(({ name, type }) =>
        type === 'BIGINT' || type === 'INTEGER' ? `CAST(${identifier(name)} AS DOUBLE)` : identifier(name),
      )
      .join(', ');
    const rows = await this.eventsIn(stream, files);
    const sql = `SELECT ${select} FROM ${rows} ORDER BY __partition, __offset`;
    const fields = stream.fields.length;
    for await (const chunk of this.stream(sql, stream.name)) {
      yield chunk.map((row): LoggedEvent => {
        const values = row.slice(0, fields) as Value[];
        const event: LoggedEvent = {
          time: values[stream.eventTime] as number,
          id: values[stream.eventId] as EventId,
          values,
          partition: row[fields] as number,
          offset: row[fields + 1] as number,
        };
        const appendedAt = row[fields + 2] as number | null;
        const replay = row[fields + 3] as string | null;
        return {
          ...event,
          ...(appendedAt === null ? {} : { appendedAt }),
          ...(replay === null ? {} : { replay }),
        };
      });
    }
  }

  async rows(what: string, sql: string): Promise<DuckDBValue[][]> {
    return this.guarded(what, async () => (await this.connection.runAndReadAll(sql)).getRows());
  }

  /** Rows of a query, a chunk at a time. */
  private async *stream(sql: string, what: string): AsyncIterable<DuckDBValue[][]> {
    const result = await this.guarded(what, () => this.connection.stream(sql));
    for (;;) {
      const chunk = await result.fetchChunk();
      if (chunk === null || chunk.rowCount === 0) return;
      yield chunk.getRows();
    }
  }

  /** Failures to read files are the caller's business: a coded error with DuckDB's own words. */
  private async guarded<T>(what: string, act: () => Promise<T>): Promise<T> {
    try {
      return await act();
    } catch (error) {
      if (/No files found|Referenced column|not found in FROM|IO Error|Invalid Input Error/.test(messageOf(error))) {
        throw new TidemillError('OFFLINE_FILE_INVALID', `${what}: ${messageOf(error)}`, { what }, { cause: error });
      }
      throw error;
    }
  }

  async computeVectors(query: VectorQuery): Promise<VectorTable> {
    const { service, from, to } = query;
    const relations: Record<string, string> = {};
    for (const stream of streamsOf(service.request, service.inputs)) {
      const files = query.files[stream.name] ?? [];
      const events = await this.eventsIn(stream, files);
      const share = stream.name === service.request.name ? query.share : undefined;
      relations[stream.name] = share === undefined ? events : shareOf(stream, events, share);
    }
    const relationOf = (stream: CompiledStream): string => relations[stream.name] as string;
    const facts: (ViewFacts | null)[] = [];
    for (const input of service.inputs) {
      if (input.kind === 'request') {
        facts.push(null);
        continue;
      }
      const { stream, key } = input.view;
      const { after, until } = eventRange(input.view, from, to);
      facts.push(await this.facts(factsQuery(stream, key, relationOf(stream), after, until), stream.name));
      query.onProgress?.((0.3 * facts.length) / service.inputs.length);
    }
    const { request } = service;
    const requests = await this.facts(
      factsQuery(request, request.topicKey, relationOf(request), from - 1, to),
      request.name,
    );
    const sql = lowerService({
      service,
      relations,
      from,
      to,
      entity: query.entity,
      facts,
      repeatedRequests: requests.repeats,
      withFields: query.withFields === true,
    });
    await mkdir(dirname(query.output), { recursive: true });
    const rows = await this.copy(service.name, sql, query.output);
    query.onProgress?.(1);
    const fields = query.withFields === true ? request.fields.length : 0;
    return { file: query.output, rows, columns: service.columns.map(({ name }) => name), labelled: false, fields };
  }

  /** Writes a query's rows; the file appears under its name only when it is whole. Returns how many. */
  private async copy(what: string, sql: string, output: string): Promise<number> {
    await mkdir(dirname(output), { recursive: true });
    const unfinished = `${output}.${randomUUID()}.unfinished`;
    try {
      const copied = await this.guarded(what, () =>
        this.connection.runAndReadAll(`COPY (${sql}) TO ${textLiteral(unfinished)} (FORMAT parquet)`),
      );
      await rename(unfinished, output);
      return Number(copied.getRows()[0]?.[0]);
    } finally {
      await rm(unfinished, { force: true });
    }
  }

  async joinDataset(query: DatasetQuery): Promise<JoinedTable> {
    const { vectors, service } = query;
    const labels = await this.eventsIn(query.labels.stream, query.labels.files);
    const rows = await this.copy(service.name, datasetSql(query, labels), query.output);
    const [counts] = (
      await this.connection.runAndReadAll(
        `SELECT coalesce(sum(CAST(__served AS INTEGER)), 0)::DOUBLE, coalesce(sum(__label), 0), coalesce(sum(CAST(__skewed AS INTEGER)), 0)::DOUBLE FROM ${parquet([query.output])}`,
      )
    ).getRows();
    return {
      file: query.output,
      rows,
      columns: vectors.columns,
      labelled: true,
      fields: vectors.fields,
      asServed: counts?.[0] as number,
      positives: counts?.[1] as number,
      skewed: counts?.[2] as number,
    };
  }

  private async facts(sql: string, what: string): Promise<ViewFacts> {
    const [row] = (await this.guarded(what, () => this.connection.runAndReadAll(sql))).getRows();
    return { ties: Number(row?.[0]), repeats: row?.[1] === true };
  }

  async readVectors(table: VectorTable): Promise<VectorMatrix> {
    const { columns, rows, labelled } = table;
    const values = new Float64Array(rows * columns.length);
    const times = new Float64Array(rows);
    const ids: EventId[] = [];
    const entities: Value[] = [];
    const labels = labelled ? new Float64Array(rows) : null;
    const knownAt = labelled ? new Float64Array(rows) : null;
    // __id and __entity are BIGINT or VARCHAR; toValue makes ids numbers again.
    const select = ['CAST(__time AS DOUBLE)', '__id', '__entity', ...columns.map(identifier)];
    if (labelled) select.push('__label', 'CAST(__known_at AS DOUBLE)');
    const fieldsAt = select.length;
    for (let field = 0; field < table.fields; field++) select.push(`__field_${field}`);
    const requests: Value[][] | null = table.fields === 0 ? null : [];
    let at = 0;
    for await (const chunk of this.stream(`SELECT ${select.join(', ')} FROM ${parquet([table.file])}`, table.file)) {
      for (const row of chunk) {
        if (at === rows) throw rowCountWrong(table, '>');
        times[at] = row[0] as number;
        ids.push(toValue(row[1]) as EventId);
        entities.push(toValue(row[2]));
        for (let column = 0; column < columns.length; column++) {
          const value = row[3 + column] as number | null;
          values[at * columns.length + column] = value ?? Number.NaN;
        }
        if (labels !== null && knownAt !== null) {
          labels[at] = row[3 + columns.length] as number;
          knownAt[at] = row[4 + columns.length] as number;
        }
        requests?.push(row.slice(fieldsAt).map(toValue));
        at++;
      }
    }
    if (at !== rows) throw rowCountWrong(table, String(at));
    return { rows, columns, values, times, ids, entities, labels, knownAt, requests };
  }
}

/** By MD5: the same in every version of the engine, so that parts of different runs fit together. */
function shareOf(stream: CompiledStream, events: string, { field, of, at }: NonNullable<VectorQuery['share']>): string {
  const name = identifier(stream.fields[field]?.name ?? '');
  return `(SELECT * FROM ${events} WHERE md5_number_lower(CAST(${name} AS VARCHAR)) % ${of} = ${at})`;
}

function rowCountWrong(table: VectorTable, found: string): TidemillError {
  return new TidemillError('OFFLINE_FILE_INVALID', `${table.file}: ${found} rows where ${table.rows} are expected`, {
    file: table.file,
    rows: table.rows,
  });
}

function streamsOf(request: CompiledStream, inputs: readonly CompiledInput[]): CompiledStream[] {
  return [request, ...inputs.flatMap((input) => (input.kind === 'view' ? [input.view.stream] : []))];
}
