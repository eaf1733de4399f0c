import { setTimeout as sleep } from 'node:timers/promises';
import type { DeadLetterChange, DeadLetterList } from '../../../contracts/deadLetters.js';
import { partitionOf } from '../../../stores/log/partitioner.js';
import type { OutgoingRecord } from '../../../stores/log/log.js';
import { Load } from './load.js';
import { deadLetters } from './logProgress.js';
import type { Verdict } from './ledger.js';
import { orders } from './project.js';
import { SideProject } from './sideProject.js';
import { PARTITIONS, type StreamCluster } from './streamCluster.js';
import { requireThat, type StreamFault } from './streamFault.js';

const YEAR_MS = 365 * 86_400_000;
const OPEN_MS = 40_000;
/** Near the broker's limit for one record, which the dead letter has to fit into, too, with its reason. */
const HUGE_BYTES = 8_388_608 - 600;
const RIPE_AFTER_MS = 15_000;

/** What producers send by mistake, one of a kind. */
function broken(topic: string, event: Readonly<Record<string, unknown>>): OutgoingRecord[] {
  const key = '7';
  const text = (value: unknown): OutgoingRecord => ({ topic, key, value: JSON.stringify(value) });
  return [
    { topic, key, value: '{"id": 5, "at"' },
    { topic, key, value: '' },
    { topic, key, value: Buffer.from([0xff, 0xfe, 0x00]) },
    text([]),
    text({}),
    text({ ...event, id: 'seven' }),
    text({ ...event, at: 'yesterday' }),
    text({ ...event, at: 1e300 }),
  ];
}

/** What would poison others; to the stream it is an event with a field that it does not know, and far too late. */
const prototype = (topic: string, event: object): OutgoingRecord => ({
  topic,
  key: '7',
  value: `{"__proto__":{"amount":1},${JSON.stringify(event).slice(1)}`,
});

const anOrder = { id: 900_000_000, at: 1, account: 7, shop: 7, amount: 1.5 };
const aReturn = { id: 900_000_000, at: 1, shop: 7, returned: true };

/** Sends records in between the load; so many of them have to be dead letters in the end. */
const mistaken = (
  fault: string,
  records: (cluster: StreamCluster) => OutgoingRecord[],
  letters: number,
): StreamFault => ({
  family: 'records',
  fault,
  run: async ({ cluster, struck, settled }) => {
    const before = await deadLetters(cluster);
    for (const record of records(cluster)) await cluster.producer.send([record]);
    await struck();
    await settled();
    const found = (await deadLetters(cluster)) - before;
    requireThat(found === letters, `${found} records were set aside, not ${letters}`);
  },
});

const inProject: readonly StreamFault[] = [
  mistaken(
    'poison of every kind, in both streams',
    ({ topics }) => [
      ...broken(topics.requests, anOrder),
      ...broken(topics.returns, aReturn),
      prototype(topics.requests, anOrder),
      prototype(topics.returns, aReturn),
    ],
    2 * broken('', anOrder).length,
  ),
  mistaken(
    'oversized, near the limit of the broker',
    ({ topics }) => [
      { topic: topics.requests, key: '7', value: 'x'.repeat(2_000_000) },
      { topic: topics.requests, key: '7', value: 'x'.repeat(HUGE_BYTES) },
    ],
    2,
  ),
  mistaken(
    'tombstones',
    ({ topics }) => [topics.requests, topics.returns].map((topic) => ({ topic, key: '7', value: null })),
    2,
  ),
  mistaken(
    'future-dated',
    ({ topics }) => [
      { topic: topics.requests, key: '7', value: JSON.stringify({ ...anOrder, at: Date.now() + YEAR_MS }) },
      { topic: topics.returns, key: '7', value: JSON.stringify({ ...aReturn, at: Date.now() + YEAR_MS }) },
    ],
    2,
  ),
  {
    family: 'records',
    fault: 'null keys',
    run: async ({ cluster, load, struck }) => {
      const { requests } = cluster.topics;
      const some = load.take(200).filter(({ topic }) => topic === requests);
      // Where they would have come with their key; what is in a record counts, not its key.
      const keyless = some.map((each) => ({
        ...each,
        key: null,
        partition: partitionOf(String(each.key), PARTITIONS),
      }));
      await struck();
      await cluster.producer.send(keyless);
    },
  },
];

const dlq = async (side: SideProject, ...args: string[]): Promise<unknown> => side.tidemill('dlq', ...args, '--json');

/** Waits until so many dead letters are open. */
async function open(side: SideProject, count: number): Promise<DeadLetterList> {
  const until = performance.now() + OPEN_MS;
  for (;;) {
    const found = (await dlq(side, 'list')) as DeadLetterList;
    if (found.letters.length >= count) return found;
    requireThat(performance.now() < until, `${found.letters.length} dead letters are open, not ${count}`);
    await sleep(500);
  }
}

/** Dead letters at the entry, in the second stream and in the hop between the stages; replayed twice. */
async function replayed(cluster: StreamCluster, seed: number): Promise<Verdict> {
  const side = await SideProject.open(cluster, 'letters');
  await side.start();
  const now = Date.now();
  const load = new Load(side.configuration.project, seed, now - 600_000);
  await cluster.producer.send(load.take(600));
  await side.caughtUp();
  // Ahead of time by more than a record may be; a replay in a while finds them in time.
  const ripeAt = Date.now() + RIPE_AFTER_MS;
  const at = ripeAt + orders.compiled.maxFutureMs;
  await cluster.producer.send([
    { topic: side.requests, key: '7', value: JSON.stringify({ ...anOrder, at }) },
    { topic: side.requests, key: '7', value: '{}' },
    { topic: side.returns, key: '7', value: JSON.stringify({ ...aReturn, at }) },
    { topic: side.hop, partition: 0, key: null, value: 'no block' },
  ]);
  const letters = await open(side, 4);
  const topics = new Set(letters.letters.map(({ topic }) => topic));
  requireThat(topics.size === 3, `dead letters come from ${[...topics].join(', ')} alone`);
  while (Date.now() < ripeAt) await sleep(200);
  const first = (await dlq(side, 'replay', '--all', '--yes')) as DeadLetterChange;
  requireThat(first.letters.length === 4, `${first.letters.length} dead letters were replayed, not 4`);
  // The same ones once more: nothing is left to decide about them.
  const ids = first.letters.map(({ id }) => id);
  const again = (await dlq(side, 'replay', ...ids, '--yes')) as DeadLetterChange;
  requireThat(again.letters.length === 0, `${again.letters.length} dead letters were replayed twice`);
  // What was ahead of time is in time now; what was broken is a dead letter once more.
  const left = await open(side, 2);
  await side.caughtUp();
  requireThat(
    left.letters.every(({ attempt }) => attempt === 2) && left.letters.length === 2,
    `after the replay ${left.letters.map(({ code, attempt }) => `${code} (${attempt})`).join(', ')} are open`,
  );
  await side.stop();
  return side.verdict();
}

export const RECORD_FAULTS: readonly StreamFault[] = [
  ...inProject,
  {
    family: 'dead letters',
    fault: 'replayed at the entry, in the second stream and at the hop',
    run: ({ cluster, random }) => replayed(cluster, random.word()),
  },
];
