import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { streamTopic } from '../../contracts/topics.js';
import { projectFrom, type Project } from '../../models/project.js';
import type { LogProducer, OutgoingRecord } from '../../stores/log/log.js';
import { randomNumbers } from './payments.js';

/** Views that the model of a shop may read; `size` and `spending` are cheap, `shop_refunds` takes a hop and a stream of its own. */
export type ShopInput = 'size' | 'spending' | 'shop_refunds';

/** Writes a compiled project module with one model, `refund`, that reads these inputs, and loads it. */
export async function writeShopProject(
  file: string,
  id: string,
  inputs: readonly ShopInput[],
): Promise<{ readonly file: string; readonly project: Project }> {
  const index = JSON.stringify(pathToFileURL(join(process.cwd(), 'dist', 'index.js')).href);
  await writeFile(
    file,
    `import { atLeast, count, defineProject, entity, errors, eventStream, featureView, logistic, mean, model, notWorse,
  requestFeatures, rules, t } from ${index};
const account = entity('account', t.int());
const shop = entity('shop', t.int());
const fields = { id: t.int(), at: t.timestamp(), account: t.int(), shop: t.int() };
const orders = eventStream('orders', { schema: { ...fields, amount: t.decimal(2) }, eventId: 'id', eventTime: 'at',
  key: 'account', allowedLateness: '10m' });
const refunds = eventStream('refunds', { schema: { ...fields, refunded: t.bool() }, eventId: 'id', eventTime: 'at',
  key: 'shop', allowedLateness: '10m', labels: orders });
const inputs = {
  size: requestFeatures(orders, ({ amount }) => ({ amount }), { name: 'size' }),
  spending: featureView('spending', { entity: account, from: orders, key: 'account', include: 'request',
    features: ({ amount }) => ({ orders: count().over('1h', '1d'), average: mean(amount).over('1d').orElse(0) }) }),
  shop_refunds: featureView('shop_refunds', { entity: shop, from: refunds, key: 'shop',
    features: ({ refunded }) => ({ known: count().over('1d'), risk: mean(refunded).over('6h', '1d').orElse(0) }) }),
};
export const project = defineProject(${JSON.stringify(id)}, { models: [model('refund', {
  task: 'binary', on: orders, label: refunds.field('refunded'), labelDelay: '1h', entity: 'account',
  inputs: [${inputs.map((name) => `inputs.${name}`).join(', ')}],
  train: logistic(), split: { train: '12h', test: '6h' },
  gates: { absolute: [atLeast('auc', 0.6)], refresh: [notWorse('average_precision', { margin: 0.5 })],
    drift: [notWorse('average_precision', { margin: 0.5 })], operational: [errors(0.3)] },
  shadow: { requests: 300, atMost: '5d' }, canary: { shares: [0.5], requests: 300, atMost: '5d' },
  drift: { season: '1d', quiet: '1h', budget: '100 per 1d', freshPositives: 50 },
  decide: ({ score }) => rules().review(score.gt(0.5)).otherwise('allow'),
  fallback: ({ amount }) => rules().score(amount.gt(450).if(0.8, 0.1)),
})] });
`,
  );
  return { file, project: projectFrom(await import(pathToFileURL(file).href), file) };
}

const EVERY_MS = 10_000;
const LABEL_DELAY_MS = 3_600_000;
const SLICE = 25;

/** Orders and, an hour of event time later, what is known of their refunds: the same for the same seed. */
export class ShopTraffic {
  private readonly random: () => number;
  private waiting: { readonly at: number; readonly record: OutgoingRecord }[] = [];
  private isStopping = false;
  private running: Promise<void> = Promise.resolve();
  /** Orders sent. */
  sent = 0;
  /** Refunds sent. */
  known = 0;

  constructor(
    private readonly project: string,
    private readonly producer: LogProducer,
    private readonly options: { readonly seed: number; readonly from: number },
  ) {
    this.random = randomNumbers(options.seed);
  }

  async send(orders: number): Promise<void> {
    for (let left = orders; left > 0; left -= SLICE) await this.producer.send(this.slice(Math.min(left, SLICE)));
  }

  /** Sends on until `stop`, never more than `ahead` orders beyond what is answered. */
  start(answered: () => number, ahead: number): void {
    this.isStopping = false;
    this.running = (async () => {
      while (!this.isStopping) {
        if (this.sent - answered() < ahead) await this.producer.send(this.slice(SLICE));
        await new Promise((resolve) => setTimeout(resolve, 60));
      }
    })();
  }

  async stop(): Promise<void> {
    this.isStopping = true;
    await this.running;
  }

  private slice(orders: number): OutgoingRecord[] {
    const records: OutgoingRecord[] = [];
    for (let order = 0; order < orders; order++) {
      const id = this.sent++;
      const at = this.options.from + id * EVERY_MS;
      const [account, shop] = [Math.floor(this.random() * 200), Math.floor(this.random() * 40)];
      const amount = Math.round(this.random() ** 2 * 50_000) / 100;
      const refunded = this.random() < (amount > 200 ? 0.7 : shop % 5 === 0 ? 0.4 : 0.05);
      records.push(this.record('orders', account, { id, at, account, shop, amount }));
      const knownAt = at + LABEL_DELAY_MS;
      this.waiting.push({
        at: knownAt,
        record: this.record('refunds', shop, { id, at: knownAt, account, shop, refunded }),
      });
      const due = this.waiting.filter((each) => each.at <= at);
      this.waiting = this.waiting.slice(due.length);
      this.known += due.length;
      records.push(...due.map(({ record }) => record));
    }
    return records;
  }

  private record(stream: string, key: number, event: object): OutgoingRecord {
    return { topic: streamTopic(this.project, stream), key: String(key), value: JSON.stringify(event) };
  }
}
