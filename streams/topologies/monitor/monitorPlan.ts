import { hopTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import { DAY_MS } from '../../../contracts/duration.js';
import type { CompiledService } from '../../../features/compiledView.js';
import type { CompiledModel } from '../../../models/definition.js';
import { labelledAfterMs } from '../../../models/labelSpec.js';
import type { ColumnsOf } from '../../../models/monitoring/performanceReport.js';

/** What the tasks of a monitor have in common. */
export interface MonitorPlan {
  readonly project: string;
  readonly model: CompiledModel;
  readonly generation: number;
  /** Of the predictions and the outcomes: so many tasks count. */
  readonly partitions: number;
  /** Length of a bucket of event time, ms. */
  readonly bucketMs: number;
  /** How long after a request its label is known, ms of event time. */
  readonly labelDelayMs: number;
  /** Buckets whose counts are kept; see MergerOptions. */
  readonly keptBuckets: number;
  readonly columnsOf: ColumnsOf;
  /** Internal topics, of one partition each, since one task reads each of them. */
  readonly counts: string;
  readonly losses: string;
}

const HOUR_MS = 3_600_000;

/** Labels and predictions are told of in order only roughly: a bucket is kept for so much longer than labels may come. */
const SLACK_MS = DAY_MS;

export interface MonitorOptions {
  readonly project: string;
  readonly model: CompiledModel;
  /** Of versions in use, besides the definition's: they name the inputs. */
  readonly services?: readonly CompiledService[];
  readonly partitions: number;
  /** Length of a bucket of event time on which is reported. @default an hour */
  readonly bucketMs?: number;
}

/** @see MonitorPlan */
export function planMonitor(identity: TopologyIdentity, options: MonitorOptions): MonitorPlan {
  const { project, model, partitions, services = [], bucketMs = HOUR_MS } = options;
  const labelDelayMs = labelledAfterMs(model.label);
  const columns = new Map(
    [model.service, ...services].map((service) => [service.hash, service.columns.map(({ name }) => name)]),
  );
  return {
    project,
    model,
    generation: identity.generation,
    partitions,
    bucketMs,
    labelDelayMs,
    keptBuckets: Math.ceil((model.label.retentionMs - labelDelayMs + SLACK_MS) / bucketMs),
    columnsOf: (service) => columns.get(service) ?? null,
    counts: hopTopic(identity, 'counts'),
    losses: hopTopic(identity, 'losses'),
  };
}
