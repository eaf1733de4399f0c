import { finiteOrNull } from '../../../features/finiteOrNull.js';
import { hashOf } from '../../../features/hash.js';
import type { Value } from '../../../features/types.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { Output, ParsedRecord, StreamTask } from '../../runtime/topology.js';
import { createWindowState } from '../../windows/createWindowState.js';
import type { WindowState } from '../../windows/windowState.js';
import { Intake } from './intake.js';
import { ResultWriter } from './resultWriter.js';
import { decodeMeta, encodeMeta, META_KEY, windowEntries } from './taskState.js';
import type { WindowPlan } from './windowPlan.js';

/** Windows of a stream whose topic is keyed as they are: events come in and results go out. */
export class WindowTask implements StreamTask {
  readonly stateIdentity: string;
  /** Results are emitted as they arise or at the end of a transaction: nothing waits. */
  readonly pendingRows = 0;
  private readonly intake: Intake;
  private readonly state: WindowState;
  private readonly writer: ResultWriter;

  constructor(private readonly plan: WindowPlan) {
    const { project, windows, partitions } = plan;
    this.stateIdentity = hashOf(['windows/1', windows.hash]);
    this.intake = new Intake(plan);
    this.state = createWindowState({ windows, fields: windows.stream.fields });
    this.writer = new ResultWriter(project, windows, this.state.plan, partitions);
  }

  get watermark(): number | null {
    return finiteOrNull(this.intake.watermark);
  }

  parse(record: LogRecord): ParsedRecord {
    return this.intake.parse(record);
  }

  fold(parsed: ParsedRecord, output: Output, replay: boolean): void {
    const { intake, state } = this;
    if (!intake.admit(parsed, output)) return;
    const sink = replay ? null : this.writer.to(output);
    const { values } = intake;
    state.fold(values[this.plan.windows.key] as Value, intake.time, intake.id, values, sink);
    state.advance(intake.watermark, sink);
  }

  drain(): Promise<void> {
    return Promise.resolve();
  }

  flush(output: Output): void {
    this.state.flush(this.writer.to(output));
  }

  committed(): void {
    this.forget();
  }

  forget(): void {
    this.intake.forget();
  }

  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array | null }> {
    yield* windowEntries(this.state);
    for (const { key, value } of this.intake.snapshot()) yield { key: Buffer.from(key, 'utf8'), value };
    const source = this.intake.progress.encode();
    const meta = { source, upstream: null, watermark: finiteOrNull(this.state.watermark) };
    yield { key: Buffer.from(META_KEY), value: encodeMeta(meta) };
  }

  restore(key: Uint8Array, value: Uint8Array): void {
    const text = Buffer.from(key).toString('utf8');
    if (text.startsWith('w')) this.state.restore(text, value);
    else if (text === META_KEY) {
      const { source, watermark } = decodeMeta(value);
      if (source !== null) this.intake.progress.decode(source);
      this.state.watermark = watermark ?? Number.NEGATIVE_INFINITY;
    } else this.intake.restore(text, value);
  }
}
