import type { OutcomeRecord, PredictionRecord, ScoreRole } from '../../contracts/records.js';
import { outcomesTopic, predictionsTopic } from '../../contracts/topics.js';
import type { CompiledModel } from '../../models/definition.js';
import { labelledAfterMs } from '../../models/labelSpec.js';
import { brier, calibrationError, logLoss } from '../../models/metrics/probability.js';
import type { LogRecord } from '../../stores/log/log.js';

/** What the newest report of a version in a bucket must say. */
export interface ExpectedReport {
  readonly version: number;
  readonly role: ScoreRole;
  readonly from: number;
  readonly predictions: { rows: number; served: number; decisions: Record<string, number> } | null;
  readonly outcomes: {
    rows: number;
    positives: number;
    logLoss: number | null;
    brier: number | null;
    calibrationError: number | null;
  } | null;
}

/** A row and the step from which it counts: its bucket's, or, where that was closed, the next that its partition closes. */
interface Stepped<Row> {
  readonly step: number;
  readonly row: Row;
}

/**
 * Reports made from all records of the two topics at once, by the rules and none of the code of the monitor: what has been
 * counted once nothing comes any more from any partition, and the first of them has closed a bucket.
 */
export function expectedReports(
  project: string,
  model: CompiledModel,
  records: readonly LogRecord[],
  partitions: number,
  bucketMs: number,
): ExpectedReport[] {
  const content = <Row>(topic: string, partition: number): Row[] =>
    records
      .filter((record) => record.topic === topic && record.partition === partition)
      .sort((a, b) => a.offset - b.offset)
      .map(({ value }) => JSON.parse(String(value)) as Row);
  const all = Array.from({ length: partitions }, (_, at) => at);
  const predictions = counted(
    all.map((at) => content<PredictionRecord>(predictionsTopic(project, model.name), at)),
    bucketMs,
    ({ at }) => at - model.request.allowedLatenessMs,
  );
  const outcomes = counted(
    all.map((at) => content<OutcomeRecord>(outcomesTopic(project, model.name), at)),
    bucketMs,
    ({ knownAt }) => knownAt - labelledAfterMs(model.label) - model.label.stream.allowedLatenessMs,
  );
  const names = new Set([...predictions, ...outcomes].map((row) => nameOf(row, bucketMs)));
  return [...names].sort().map((name): ExpectedReport => {
    const [from, version, role] = name.split('/') as [string, string, ScoreRole];
    const said = predictions.filter((row) => nameOf(row, bucketMs) === name);
    // Of the labels of a request the last one counts.
    const newest = new Map<string, OutcomeRecord>();
    for (const row of outcomes) {
      if (nameOf(row, bucketMs) !== name) continue;
      const known = newest.get(String(row.id));
      if (known === undefined || known.revision < row.revision) newest.set(String(row.id), row);
    }
    const trusted = [...newest.values()].filter(({ source }) => source !== 'censored');
    const [truth, scores] = [trusted.map(({ label }) => label), trusted.map(({ score }) => score)].map((each) =>
      Float64Array.from(each),
    ) as [Float64Array, Float64Array];
    const decisions: Record<string, number> = {};
    for (const { decision } of said) decisions[decision] = (decisions[decision] ?? 0) + 1;
    return {
      version: Number(version),
      role,
      from: Number(from),
      predictions: said.length === 0 ? null : { rows: said.length, served: said.length, decisions },
      outcomes:
        newest.size === 0
          ? null
          : {
              rows: trusted.length,
              positives: truth.reduce((sum, each) => sum + each, 0),
              logLoss: logLoss(truth, scores),
              brier: brier(truth, scores),
              calibrationError: calibrationError(truth, scores),
            },
    };
  });
}

/** The rows of all partitions that count by the bucket that the first of them has closed, all of them being idle. */
function counted<Row extends { readonly at: number }>(
  partitions: readonly (readonly Row[])[],
  bucketMs: number,
  progress: (row: Row) => number,
): Row[] {
  const stepped = partitions.map((rows) => {
    let open = Number.NEGATIVE_INFINITY;
    const steps = rows.map((row): Stepped<Row> => {
      const step = Math.max(Math.floor(row.at / bucketMs), open);
      open = Math.max(open, Math.floor(progress(row) / bucketMs));
      return { step, row };
    });
    return { steps, open };
  });
  const open = Math.max(...stepped.map((each) => each.open));
  return stepped.flatMap(({ steps }) => steps.filter(({ step }) => step < open).map(({ row }) => row));
}

function nameOf({ at, version, role }: PredictionRecord | OutcomeRecord, bucketMs: number): string {
  return `${String(Math.floor(at / bucketMs) * bucketMs).padStart(15, '0')}/${version}/${role}`;
}
