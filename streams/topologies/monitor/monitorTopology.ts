import type { OutcomeRecord } from '../../../contracts/records.js';
import { messageOf, TidemillError } from '../../../contracts/errors.js';
import { driftTopic, outcomesTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import type { CompiledModel } from '../../../models/definition.js';
import { labelledAfterMs } from '../../../models/labelSpec.js';
import { PerformanceMonitor } from '../../../models/drift/performanceMonitor.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { Output, ParsedRecord, StreamTask, Topology } from '../../runtime/topology.js';

/** Watches a model's outcomes; one task merges all partitions in the order in which labels became known. */
export function monitorTopology(options: {
  readonly project: string;
  readonly model: CompiledModel;
  readonly generation: number;
  readonly partitions: number;
}): Topology {
  const { project, model, partitions } = options;
  const identity: TopologyIdentity = { project, name: `monitor.${model.name}`, generation: options.generation };
  const outcomes = outcomesTopic(project, model.name);
  return {
    identity,
    sources: [{ topic: outcomes, start: 'earliest' }],
    outputs: [
      { topic: outcomes, partitions },
      { topic: driftTopic(project), partitions },
    ],
    stages: [
      {
        name: 'monitor',
        does: 'merges all partitions in one task and looks for drift',
        reads: [outcomes],
        keeps: ['detectors'],
        writes: [driftTopic(project)],
      },
    ],
    taskOf: () => 'monitor',
    createTask: () => new MonitorTask(project, model, partitions),
  };
}

const STATE_KEY = Buffer.from('monitor');

class MonitorTask implements StreamTask {
  readonly stateIdentity: string;
  readonly watermark = null;
  readonly pendingRows = 0;
  private readonly monitor: PerformanceMonitor;
  private isChanged = false;

  constructor(
    private readonly project: string,
    model: CompiledModel,
    partitions: number,
  ) {
    this.stateIdentity = `monitor/1/${model.name}`;
    this.monitor = new PerformanceMonitor({
      model: model.name,
      labelDelayMs: labelledAfterMs(model.label),
      partitions,
    });
  }

  parse(record: LogRecord): ParsedRecord<OutcomeRecord> {
    const outcome = JSON.parse(record.value?.toString('utf8') ?? 'null') as OutcomeRecord;
    return { record, time: outcome.knownAt, content: outcome };
  }

  fold({ record, content }: ParsedRecord, output: Output): void {
    this.isChanged = true;
    for (const drift of this.monitor.update(content as OutcomeRecord, record.partition)) {
      output.emit({ topic: driftTopic(this.project), key: drift.model, value: JSON.stringify(drift) });
    }
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }
  flush(): void {
    // Findings are emitted as they arise.
  }
  committed(): void {
    // The window of the detector is its own horizon.
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    if (!this.isChanged) return;
    this.isChanged = false;
    yield { key: STATE_KEY, value: Buffer.from(JSON.stringify(this.monitor.encode())) };
  }

  restore(_key: Uint8Array, value: Uint8Array): void {
    try {
      this.monitor.decode(JSON.parse(Buffer.from(value).toString('utf8')) as ReturnType<PerformanceMonitor['encode']>);
    } catch (error) {
      throw new TidemillError(
        'STATE_CORRUPT',
        `the monitor's state cannot be read: ${messageOf(error)}`,
        {},
        { cause: error },
      );
    }
  }
}
