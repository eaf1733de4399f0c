import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { trainXgboost } from '../../activities/training/trainXgboost.js';
import { DAY_MS } from '../../contracts/duration.js';
import { messageOf } from '../../contracts/errors.js';
import type { LoggedEvent } from '../../features/types.js';
import { findXgboostLibrary } from '../../infra/xgboostLibrary.js';
import { averagePrecision } from '../../models/metrics/ranking.js';
import { openDuckdbStore } from '../../stores/offline/duckdbStore.js';
import type { VectorMatrix } from '../../stores/offline/offlineStore.js';
import { GENERATOR_START, generateFraud, type GeneratedTransaction } from './generator/generateFraud.js';
import { LABEL_DELAY_MS } from './handbook.js';
import { fraud, labels, transactions } from './project.js';

/**
 * Whether the new pattern of the generator is one that a model of before cannot see and a retrained one can: the sizes of
 * the demo are chosen by it. `npm run study:drift -- [--seeds 1,2,3,4,5] [--json]`
 *
 *   day 0 … 44        58      65        68                 77            82                   95
 *   history  [ fit of 1 ) labels' delay  onset             [ 2a judged … [ 2b judged ………… )
 *
 * Version 1 is fitted on the 14 newest labelled days at day 65; version 2 likewise, once with two days of the new pattern
 * labelled (day 77) and once with a week of it (day 82). Both are judged on the days after the fit of version 2, version 1
 * also on the days between its fit and the onset. Exit code 3 where a seed's decision is not clear.
 */
const DAYS = 95;
const ONSET = 68;
const FIRST_FIT = 65;
const REFITS = [77, 82] as const;
const WINDOW_DAYS = 14;
const LABEL_DELAY_DAYS = LABEL_DELAY_MS / DAY_MS;
/** A smaller difference in average precision is not clear. */
const CLEAR = 0.1;

interface Refit {
  readonly day: number;
  /** Positives of the new pattern in its training rows. */
  readonly seen: number;
  readonly oldVersion: number;
  readonly newVersion: number;
}

interface SeedResult {
  readonly seed: number;
  /** Average precision of version 1 from its fit to the onset. */
  readonly before: number;
  readonly refits: readonly Refit[];
  readonly clear: boolean;
  readonly seconds: number;
}

interface Rows {
  readonly rows: number;
  readonly columns: number;
  readonly values: Float64Array;
  readonly labels: Float64Array;
}

async function study(seed: number, library: string): Promise<SeedResult> {
  const started = performance.now();
  const folder = await mkdtemp(join(tmpdir(), 'tidemill-drift-'));
  try {
    const days = [...generateFraud({ seed, days: DAYS, driftDay: ONSET })].map((each) => each.transactions);
    const matrix = await vectorsOf(days, folder);
    // Ids count up from 0 over all days.
    const scenarios = Uint8Array.from(days.flat(), ({ scenario }) => scenario);
    const between = (from: number, to: number): Rows => rowsOf(matrix, scenarios, from, to);
    const labelled = (day: number): [number, number] => [day - LABEL_DELAY_DAYS - WINDOW_DAYS, day - LABEL_DELAY_DAYS];

    const before = between(FIRST_FIT, ONSET);
    const after = REFITS.map((day) => between(day, DAYS));
    const oldScores = await scoresOf(library, between(...labelled(FIRST_FIT)), [before, ...after]);
    const refits: Refit[] = [];
    for (const [at, day] of REFITS.entries()) {
      const judged = after[at] as Rows;
      const [newScores] = await scoresOf(library, between(...labelled(day)), [judged]);
      refits.push({
        day,
        seen: days
          .slice(ONSET, day - LABEL_DELAY_DAYS)
          .flat()
          .filter(({ scenario }) => scenario === 4).length,
        oldVersion: precision(judged, oldScores[at + 1]),
        newVersion: precision(judged, newScores),
      });
    }
    const result = { seed, before: precision(before, oldScores[0]), refits };
    const clear = refits.every(
      ({ oldVersion, newVersion }) => result.before - oldVersion > CLEAR && newVersion - oldVersion > CLEAR,
    );
    return { ...result, clear, seconds: (performance.now() - started) / 1_000 };
  } finally {
    await rm(folder, { recursive: true });
  }
}

/** The service's vectors, in event time, of every transaction that is trained on or judged. */
async function vectorsOf(days: readonly (readonly GeneratedTransaction[])[], folder: string): Promise<VectorMatrix> {
  const all = days.flat();
  const place = (id: number): { partition: number; offset: number } => ({ partition: 0, offset: id });
  const store = await openDuckdbStore();
  try {
    const files = { transactions: join(folder, 'transactions.parquet'), labels: join(folder, 'labels.parquet') };
    await store.writeEvents(
      transactions.compiled,
      files.transactions,
      all.map(({ id, at, customer, terminal, amount }): LoggedEvent => ({
        time: at,
        id,
        values: [id, at, customer, terminal, amount],
        ...place(id),
      })),
    );
    await store.writeEvents(
      labels.compiled,
      files.labels,
      all.map(({ id, at, customer, terminal, fraud: isFraud }): LoggedEvent => {
        const known = at + LABEL_DELAY_MS;
        return { time: known, id, values: [id, known, customer, terminal, isFraud], ...place(id) };
      }),
    );
    const table = await store.computeVectors({
      service: fraud.compiled.service,
      files: { [transactions.compiled.name]: [files.transactions], [labels.compiled.name]: [files.labels] },
      from: GENERATOR_START + (FIRST_FIT - LABEL_DELAY_DAYS - WINDOW_DAYS) * DAY_MS,
      to: GENERATOR_START + DAYS * DAY_MS,
      entity: fraud.compiled.entity,
      output: join(folder, 'vectors.parquet'),
    });
    return await store.readVectors(table);
  } finally {
    await store.close();
  }
}

/** Rows of days [from, to); the matrix is ordered by time. */
function rowsOf(matrix: VectorMatrix, scenarios: Uint8Array, from: number, to: number): Rows {
  const columns = matrix.columns.length;
  const firstAt = (day: number): number => {
    const found = matrix.times.findIndex((time) => time >= GENERATOR_START + day * DAY_MS);
    return found === -1 ? matrix.rows : found;
  };
  const [first, end] = [firstAt(from), firstAt(to)];
  return {
    rows: end - first,
    columns,
    values: matrix.values.subarray(first * columns, end * columns),
    labels: Float64Array.from({ length: end - first }, (_, at) =>
      (scenarios[matrix.ids[first + at] as number] as number) > 0 ? 1 : 0,
    ),
  };
}

/** Fits the project's own model once and scores several parts with it. */
async function scoresOf(library: string, train: Rows, parts: readonly Rows[]): Promise<Float64Array[]> {
  const columns = train.columns;
  const rows = parts.reduce((sum, part) => sum + part.rows, 0);
  const test = { rows, columns, values: new Float64Array(rows * columns), labels: new Float64Array(rows) };
  let row = 0;
  for (const part of parts) {
    test.values.set(part.values, row * columns);
    test.labels.set(part.labels, row);
    row += part.rows;
  }
  const spec = fraud.compiled.trainer as Parameters<typeof trainXgboost>[0]['spec'];
  const { predictions } = await trainXgboost({ library, spec, train, test });
  const all = Float64Array.from(predictions ?? []);
  let start = 0;
  return parts.map((part) => all.subarray(start, (start += part.rows)));
}

function precision(rows: Rows, scores: Float64Array | undefined): number {
  return averagePrecision(rows.labels, scores ?? new Float64Array()) ?? Number.NaN;
}

async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { seeds: { type: 'string', default: '1,2,3,4,5' }, json: { type: 'boolean', default: false } },
  });
  const library = await findXgboostLibrary((text) => console.error(text));
  const results: SeedResult[] = [];
  for (const text of values.seeds.split(',')) {
    const seed = Number(text);
    if (!Number.isSafeInteger(seed)) {
      console.error(`--seeds: ${JSON.stringify(text)} is not a whole number`);
      return 2;
    }
    results.push(await study(seed, library));
    console.error(`seed ${seed}: ${results.at(-1)?.seconds.toFixed(1)} s`);
  }
  if (values.json) console.log(JSON.stringify(results));
  else {
    console.table(
      results.flatMap(({ seed, before, refits, clear }) =>
        refits.map(({ day, seen, oldVersion, newVersion }) => ({
          seed,
          'fit of 2 on day': day,
          'new pattern seen': seen,
          'version 1 before': before.toFixed(3),
          'version 1 after': oldVersion.toFixed(3),
          'version 2 after': newVersion.toFixed(3),
          clear,
        })),
      ),
    );
  }
  return results.every(({ clear }) => clear) ? 0 : 3;
}

try {
  process.exitCode = await main();
} catch (error) {
  console.error(messageOf(error));
  process.exitCode = 1;
}
