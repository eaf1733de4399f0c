import { setTimeout as sleep } from 'node:timers/promises';
import { streamTopic } from '../../../contracts/topics.js';
import { seededRandom } from '../../../models/statistics/random.js';
import type { LogProducer, OutgoingRecord } from '../../../stores/log/log.js';

/** Event time between two orders; the label of an order comes an hour after it. */
const EVERY_MS = 10_000;
const LABEL_DELAY_MS = 3_600_000;
const ACCOUNTS = 400;
const SLICE = 50;

/** Orders and their refunds, for ever, the same for the same seed. Large orders of some accounts are refunded more often. */
export class Traffic {
  private readonly random: { next(): number };
  private readonly waiting: OutgoingRecord[] = [];
  private readonly due: number[] = [];
  private running: Promise<void> | null = null;
  private stopped = false;
  private id = 0;
  /** Event time of the next order. */
  at: number;

  constructor(
    private readonly project: string,
    private readonly producer: LogProducer,
    options: { readonly seed: number; readonly from: number },
  ) {
    this.random = seededRandom(options.seed);
    this.at = options.from;
  }

  /** Orders sent so far. */
  get sent(): number {
    return this.id;
  }

  /** Sends so many orders, and the refunds due by then, as fast as they are taken. */
  async send(orders: number): Promise<void> {
    for (let left = orders; left > 0; left -= SLICE) await this.producer.send(this.slice(Math.min(left, SLICE)));
  }

  /** Sends on at a rate, until `stop`. A broker that is away is waited for. */
  start(ordersPerSecond: number): void {
    this.stopped = false;
    this.running = (async () => {
      while (!this.stopped) {
        const records = this.slice(SLICE);
        for (;;) {
          try {
            await this.producer.send(records);
            break;
          } catch (error) {
            // Sent anew under the same sequence numbers or doubled: both are what real producers do.
            if (this.stopped) throw error;
            await sleep(500);
          }
        }
        await sleep((SLICE / ordersPerSecond) * 1_000);
      }
    })();
  }

  async stop(): Promise<void> {
    this.stopped = true;
    await this.running;
  }

  private slice(orders: number): OutgoingRecord[] {
    const records: OutgoingRecord[] = [];
    for (let order = 0; order < orders; order++) {
      const account = Math.floor(this.random.next() * ACCOUNTS);
      const amount = Math.round(this.random.next() ** 2 * 50_000) / 100;
      const chance = amount > 200 ? 0.7 : account % 7 === 0 ? 0.3 : 0.05;
      const { at } = this;
      const id = this.id++;
      records.push({
        topic: streamTopic(this.project, 'orders'),
        key: String(account),
        value: JSON.stringify({ id, at, account, amount }),
      });
      const refunded = this.random.next() < chance;
      this.due.push(at + LABEL_DELAY_MS);
      this.waiting.push({
        topic: streamTopic(this.project, 'refunds'),
        key: String(account),
        value: JSON.stringify({ id, at: at + LABEL_DELAY_MS, account, refunded }),
      });
      while ((this.due[0] ?? Number.POSITIVE_INFINITY) <= at) {
        this.due.shift();
        records.push(this.waiting.shift() as OutgoingRecord);
      }
      this.at += EVERY_MS;
    }
    return records;
  }
}
