import { reportsTopic } from '../../../contracts/topics.js';
import { parseCountBlock, type CountBlock } from '../../../models/monitoring/countBlock.js';
import { ReportMerger } from '../../../models/monitoring/reportMerger.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import type { MonitorPlan } from './monitorPlan.js';
import { snapshotEntries } from './snapshotEntries.js';

/** Merges the counts of all partitions in the order of time, and reports. One task: there are a few blocks an hour. */
export class MergeTask implements StreamTask {
  readonly stateIdentity: string;
  readonly pendingRows = 0;
  private readonly merger: ReportMerger;
  private readonly topic: string;

  constructor(private readonly plan: MonitorPlan) {
    const { project, model, generation, partitions, bucketMs, keptBuckets, columnsOf } = plan;
    this.stateIdentity = `monitor.merge/1/${model.name}/${partitions}/${bucketMs}`;
    this.merger = new ReportMerger({ model: model.name, generation, partitions, bucketMs, keptBuckets, columnsOf });
    this.topic = reportsTopic(project, model.name);
  }

  get watermark(): number | null {
    return this.merger.reportedUpTo;
  }

  parse(record: LogRecord): ParsedRecord<CountBlock> {
    return { record, time: record.timestamp, content: parseCountBlock(record.value, this.plan.bucketMs) };
  }

  fold({ content }: ParsedRecord, output: Output, replay: boolean): void {
    for (const report of this.merger.take(content as CountBlock)) {
      if (replay) continue;
      output.emit({ topic: this.topic, key: `${report.model}/${report.version}`, value: JSON.stringify(report) });
    }
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }
  flush(): void {
    // Reports are emitted as they arise.
  }
  committed(): void {
    // Buckets are forgotten as time passes: that is part of the fold.
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    yield* snapshotEntries('', this.merger.entries());
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    this.merger.restore(Buffer.from(key).toString('utf8'), Buffer.from(value).toString('utf8'));
  }
}
