import { streamTopic } from '../../../contracts/topics.js';
import { seededRandom, type RandomNumbers } from '../../../models/statistics/random.js';
import type { OutgoingRecord } from '../../../stores/log/log.js';
import { orders, returns } from './project.js';

/** Event time between two orders. */
export const ORDER_EVERY_MS = 250;
/** How long after its order the return, or its absence, is known. */
const RETURN_AFTER_MS = 300_000;
const ACCOUNTS = 600;
const SHOPS = 120;

/** Shares of the records that are out of order within the lateness, too late for it, and sent twice. */
const DISORDERED = 0.05;
const TOO_LATE = 0.003;
const DOUBLED = 0.01;
/** Out of order by at most so much: half of the lateness. */
const DISORDER_MS = 60_000;
const MUCH_TOO_LATE_MS = 900_000;

/** Orders and what became of them, for ever, the same for the same seed. */
export class Load {
  private readonly random: RandomNumbers;
  /** Returns not sent yet, by the event time at which they are due. */
  private readonly due: { readonly at: number; readonly record: OutgoingRecord }[] = [];
  private next = 1;

  constructor(
    private readonly project: string,
    seed: number,
    /** Event time of the next order. */
    public at: number,
  ) {
    this.random = seededRandom(seed);
  }

  /** At least so many records. */
  take(count: number): OutgoingRecord[] {
    const records: OutgoingRecord[] = [];
    while (records.length < count) this.order(records);
    return records;
  }

  private order(records: OutgoingRecord[]): void {
    const { random } = this;
    const id = this.next++;
    const account = random.below(ACCOUNTS);
    const shop = random.below(SHOPS);
    const amount = Math.round(random.next() ** 2 * 50_000) / 100;
    this.push(records, orders.compiled.name, account, (at) => ({ id, at, account, shop, amount }), this.at);
    const returned = random.next() < (amount > 200 ? 0.5 : 0.1);
    const dueAt = this.at + RETURN_AFTER_MS;
    const waiting: OutgoingRecord[] = [];
    this.push(waiting, returns.compiled.name, shop, (at) => ({ id, at, shop, returned }), dueAt);
    for (const record of waiting) this.due.push({ at: dueAt, record });
    while ((this.due[0]?.at ?? Number.POSITIVE_INFINITY) <= this.at) {
      records.push((this.due.shift() as (typeof this.due)[number]).record);
    }
    this.at += ORDER_EVERY_MS;
  }

  private push(
    records: OutgoingRecord[],
    stream: string,
    key: number,
    event: (at: number) => object,
    at: number,
  ): void {
    const draw = this.random.next();
    const behind =
      draw < DISORDERED
        ? 1 + this.random.below(DISORDER_MS)
        : draw < DISORDERED + TOO_LATE
          ? MUCH_TOO_LATE_MS + this.random.below(DISORDER_MS)
          : 0;
    const record = {
      topic: streamTopic(this.project, stream),
      key: String(key),
      value: JSON.stringify(event(at - behind)),
    };
    records.push(record);
    if (this.random.next() < DOUBLED) records.push(record);
  }
}
