import { TidemillError } from '../../contracts/errors.js';
import type { CompiledField, CompiledStream } from '../../features/compiledView.js';
import { eventColumns } from '../../features/duckdb/lowerService.js';
import { identifier, textLiteral } from '../../features/duckdb/sqlText.js';
import type { RunQuery } from './duckdbArchive.js';
import { APPEND_TIME, parquet, REPLAY } from './parquetFiles.js';

/** Name under which a file says by which contract it was written. */
const CONTRACT = 'tidemill.contract';

/** What a file says about its columns: decimals of different scales look alike in Parquet. */
export function contractSetting(stream: CompiledStream): string {
  const fields = stream.fields.map(({ name, type, nullable }) => ({ name, type, nullable }));
  return contractFrom(JSON.stringify(fields));
}

/** The same of what another file says. */
export function contractFrom(contract: string): string {
  return `KV_METADATA {${textLiteral(CONTRACT)}: ${textLiteral(contract)}}`;
}

/** Files by the contract that they say they were written by; null for files that are older than contracts in files. */
export async function contractsOf(
  run: RunQuery,
  what: string,
  files: readonly string[],
): Promise<ReadonlyMap<string | null, readonly string[]>> {
  const list = `[${files.map(textLiteral).join(', ')}]`;
  const rows = await run(
    what,
    `SELECT file_name, decode(value) FROM parquet_kv_metadata(${list}) WHERE decode(key) = ${textLiteral(CONTRACT)}`,
  );
  const contracts = new Map(rows.map(([file, text]) => [file as string, text as string]));
  const found = new Map<string | null, string[]>();
  for (const file of files) {
    const contract = contracts.get(file) ?? null;
    found.set(contract, [...(found.get(contract) ?? []), file]);
  }
  return found;
}

/**
 * Event files as one relation under the stream's contract of today, whatever contract each was written by:
 *
 *   written by              read as
 *   amount decimal(2)       amount decimal(4)    100 times the number
 *   (no city)               city, nullable       null
 *   channel                 (no channel)         left out
 *   amount int              amount double        the number
 *
 * @throws TidemillError ARCHIVE_INCOMPATIBLE naming file and field
 */
export async function eventFiles(run: RunQuery, stream: CompiledStream, files: readonly string[]): Promise<string> {
  const columns = eventColumns(stream);
  const extras = [APPEND_TIME, REPLAY];
  const empty = [...columns, ...extras].map(({ name, type }) => `NULL::${type} AS ${identifier(name)}`).join(', ');
  if (files.length === 0) return `(SELECT ${empty} WHERE false)`;
  const parts: string[] = [];
  for (const [contract, group] of await contractsOf(run, stream.name, files)) {
    const [file = ''] = group;
    const written = contract === null ? stream.fields : (JSON.parse(contract) as readonly CompiledField[]);
    const fields = stream.fields.map((field, at) => {
      const before = written.find(({ name }) => name === field.name);
      return `${readAs(stream, field, before, columns[at]?.type ?? '', file)} AS ${identifier(field.name)}`;
    });
    const places = ['__partition', '__offset', ...extras.map(({ name }) => name)];
    // Files may be older than what is kept beside the values: the union gives it to those, too.
    const added = extras.map(({ name, type }) => `NULL::${type} AS ${name}`).join(', ');
    const rows = `SELECT * FROM ${parquet(group, 'union_by_name = true')} UNION ALL BY NAME SELECT ${added} WHERE false`;
    parts.push(`SELECT ${[...fields, ...places].join(', ')} FROM (${rows})`);
  }
  return `(${parts.join(' UNION ALL BY NAME ')})`;
}

/** The column of a field, out of what a file has in its place. @throws TidemillError ARCHIVE_INCOMPATIBLE */
function readAs(
  stream: CompiledStream,
  { name, type, nullable }: CompiledField,
  before: CompiledField | undefined,
  columnType: string,
  file: string,
): string {
  const refuse = (problem: string): TidemillError =>
    new TidemillError('ARCHIVE_INCOMPATIBLE', `${file}: ${stream.name}.${name} ${problem}`, {
      file,
      stream: stream.name,
      field: name,
    });
  if (before === undefined) {
    if (nullable) return `NULL::${columnType}`;
    throw refuse('is required, and the file has none');
  }
  if (before.nullable && !nullable) throw refuse('is required, and may be null in the file');
  const column = identifier(name);
  const [from, to] = [before.type, type];
  const scaleOf = (each: typeof type): number => (each.kind === 'decimal' ? each.scale : 0);
  if (from.kind === to.kind && scaleOf(from) === scaleOf(to)) return column;
  const isExact = from.kind === 'int' || from.kind === 'decimal';
  if (isExact && to.kind === 'decimal' && scaleOf(to) >= scaleOf(from))
    return `CAST(${column} * ${10 ** (scaleOf(to) - scaleOf(from))} AS ${columnType})`;
  if (isExact && to.kind === 'double') return `CAST(${column} AS DOUBLE) / ${10 ** scaleOf(from)}`;
  throw refuse(`is ${nameOf(type)}, and ${nameOf(before.type)} in the file`);
}

function nameOf(type: CompiledField['type']): string {
  return type.kind === 'decimal' ? `decimal(${type.scale})` : type.kind;
}
