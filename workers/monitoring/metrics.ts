import { collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { METRICS, type LabelsOf, type MetricName } from './metricNames.js';

/** Seconds: from a commit on an idle broker to one that is stuck. */
const BUCKETS = [0.000_1, 0.000_5, 0.001, 0.002_5, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

type ReadName = { [Name in MetricName]: (typeof METRICS)[Name]['type'] extends 'histogram' ? never : Name }[MetricName];
type TimedName = Exclude<MetricName, ReadName>;

/** Takes a value that was counted elsewhere. */
export type SetMetric = <Name extends ReadName>(name: Name, labels: LabelsOf<Name>, value: number) => void;

/** The metrics of this process. The only file that knows the client library. */
export interface Metrics {
  /** A duration in seconds; for what happens some times a second, not for every record. */
  observe<Name extends TimedName>(name: Name, labels: LabelsOf<Name>, seconds: number): void;
  /** All metrics in the Prometheus text format. */
  text(): Promise<string>;
  readonly contentType: string;
}

/**
 * @param read gives the values of counters and gauges when the metrics are asked for: until then nothing is spent on them.
 */
export function createMetrics(read: (set: SetMetric) => void): Metrics {
  const registry = new Registry();
  // Names like process_cpu_seconds_total, nodejs_heap_size_used_bytes and nodejs_eventloop_lag_p99_seconds.
  collectDefaultMetrics({ register: registry });
  const values = new Map<string, Counter | Gauge>();
  const durations = new Map<string, Histogram>();
  for (const [name, { type, labels, help }] of Object.entries(METRICS)) {
    const configuration = { name, help, labelNames: [...labels], registers: [registry] };
    if (type === 'histogram') durations.set(name, new Histogram({ ...configuration, buckets: BUCKETS }));
    else values.set(name, type === 'counter' ? new Counter(configuration) : new Gauge(configuration));
  }
  // A series whose task went elsewhere is gone; counters come as what they have grown to.
  const set: SetMetric = (name, labels, value) => values.get(name)?.inc(labels, value);
  return {
    observe: (name, labels, seconds) => durations.get(name)?.observe(labels, seconds),
    text: () => {
      for (const metric of values.values()) metric.reset();
      read(set);
      return registry.metrics();
    },
    contentType: registry.contentType,
  };
}
