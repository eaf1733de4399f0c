import { isTidemillError, TidemillError } from '../../../contracts/errors.js';
import { driftTopic } from '../../../contracts/topics.js';
import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { decodeLosses, type LossColumns } from '../../../models/drift/lossColumns.js';
import { LossDetector } from '../../../models/drift/lossDetector.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import type { MonitorPlan } from './monitorPlan.js';
import { snapshotEntries } from './snapshotEntries.js';

interface LossBlock {
  readonly columns: LossColumns;
  readonly bytes: Uint8Array;
}

/** Looks for drift in the champion's losses, row by row in the order of the requests; see LossDetector. */
export class DetectTask implements StreamTask {
  readonly stateIdentity: string;
  readonly pendingRows = 0;
  private readonly detector: LossDetector;

  constructor(private readonly plan: MonitorPlan) {
    const { model, generation, partitions, labelDelayMs } = plan;
    this.stateIdentity = `monitor.detect/1/${model.name}/${partitions}`;
    this.detector = new LossDetector({ model: model.name, generation, labelDelayMs, partitions });
  }

  get watermark(): number | null {
    return finiteOrNull(this.detector.knownUpTo);
  }

  parse(record: LogRecord): ParsedRecord<LossBlock> {
    const columns = decodeLosses(record.value);
    return { record, time: record.timestamp, content: { columns, bytes: record.value as Uint8Array } };
  }

  fold({ content }: ParsedRecord, output: Output, replay: boolean): void {
    const { columns, bytes } = content as LossBlock;
    for (const drift of this.detector.take(columns, bytes)) {
      if (replay) continue;
      output.emit({ topic: driftTopic(this.plan.project), key: drift.model, value: JSON.stringify(drift) });
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
    yield* snapshotEntries('', this.detector.entries());
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    try {
      this.detector.restore(Buffer.from(key).toString('utf8'), value);
    } catch (error) {
      if (!isTidemillError(error, 'BLOCK_INVALID')) throw error;
      // A block that the log gave was whole: the snapshot is to blame.
      throw new TidemillError('STATE_CORRUPT', `the detector's state: ${error.message}`, {}, { cause: error });
    }
  }
}
