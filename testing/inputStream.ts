import { streamTopic } from '../contracts/topics.js';
import type { Schema } from '../features/authoring/index.js';
import type { CompiledStream } from '../features/compiledView.js';
import { batchOf, placed, type Batch, type EventOf, type Sent } from './inputs.js';
import type { SendOptions } from './options.js';
import type { World } from './world.js';

/** Where a test sends the events of one stream, in any order and as often as it likes. */
export class InputStream<S extends Schema> {
  constructor(
    private readonly world: World,
    private readonly stream: CompiledStream,
  ) {}

  /** Sends events; they are read when the driver next takes steps. Returns their places in the log, in order. */
  send(events: EventOf<S> | readonly EventOf<S>[], options: SendOptions = {}): Promise<Sent[]> {
    const all = Array.isArray(events) ? (events as readonly EventOf<S>[]) : [events as EventOf<S>];
    return this.sendBatch(batchOf(this.stream, all), options);
  }

  /** Sends a record as it is, whatever it says. */
  sendRaw(value: string, options: SendOptions & { readonly key?: string } = {}): Promise<Sent[]> {
    return this.sendBatch({ stream: this.stream, records: [{ key: options.key ?? '', value }] }, options);
  }

  async sendBatch(batch: Batch, { arrivesAt }: SendOptions = {}): Promise<Sent[]> {
    const { project, partitions, simulation } = this.world;
    const { log, scheduler } = simulation;
    const topic = streamTopic(project.id, this.stream.name);
    const ends = new Map((await log.offsets(topic)).map(({ partition, high }) => [partition, high]));
    const producer = await log.producer();
    const sent: Sent[] = [];
    for (const { time, ...record } of placed(project.id, partitions, batch)) {
      const at = typeof arrivesAt === 'string' ? Date.parse(arrivesAt) : arrivesAt;
      scheduler.jumpTo(at ?? time ?? scheduler.now);
      await producer.send([record]);
      const offset = ends.get(record.partition) ?? 0;
      ends.set(record.partition, offset + 1);
      sent.push({ topic, partition: record.partition, offset });
    }
    return sent;
  }
}
