import type { DriftRecord } from '../../../contracts/records.js';
import { driftTopic, type TopologyIdentity } from '../../../contracts/topics.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { ParsedRecord, StreamTask, Topology } from '../../runtime/topology.js';

/** Tells a model's lifecycle about a finding. Repeats must not matter: (source, sequence) identifies it. */
export type SignalDrift = (drift: DriftRecord) => Promise<void>;

/**
 * Hands committed drift records to the lifecycle workflows. A record's offset is committed after its signal was taken, so
 * a crash between both repeats the signal: delivered at least once, with the effect of once.
 */
export function relayTopology(options: {
  readonly project: string;
  readonly generation: number;
  readonly partitions: number;
  readonly signal: SignalDrift;
}): Topology {
  const { project, partitions, signal } = options;
  const identity: TopologyIdentity = { project, name: 'relay', generation: options.generation };
  const topic = driftTopic(project);
  return {
    identity,
    sources: [{ topic, start: 'earliest' }],
    outputs: [{ topic, partitions }],
    stages: [
      {
        name: 'relay',
        does: 'signals findings to the lifecycle workflows',
        reads: [topic],
        keeps: [],
        uses: ['Temporal'],
        writes: [],
      },
    ],
    taskOf: ({ partition }) => `relay-${partition}`,
    createTask: () => new RelayTask(signal),
  };
}

class RelayTask implements StreamTask {
  readonly stateIdentity = 'relay/1';
  readonly watermark = null;
  private waiting: DriftRecord[] = [];

  constructor(private readonly signal: SignalDrift) {}

  get pendingRows(): number {
    return this.waiting.length;
  }

  parse(record: LogRecord): ParsedRecord<DriftRecord> {
    const drift = JSON.parse(record.value?.toString('utf8') ?? 'null') as DriftRecord;
    return { record, time: drift.detectedAt, content: drift };
  }

  fold({ content }: ParsedRecord, _output: unknown, replay: boolean): void {
    if (!replay) this.waiting.push(content as DriftRecord);
  }

  async drain(): Promise<void> {
    for (let next = this.waiting[0]; next !== undefined; next = this.waiting[0]) {
      await this.signal(next);
      this.waiting.shift();
    }
  }

  flush(): void {
    // Signals are the only output.
  }
  committed(): void {
    // There is no state to evict.
  }
  snapshot(): [] {
    return [];
  }
  restore(): void {
    // Nothing is stored.
  }
}
