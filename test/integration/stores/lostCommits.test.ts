import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { Proxy } from '../../../bench/chaos/streams/proxy.js';
import { startKafka } from '../../../infra/kafka.js';
import { freePort } from '../../../infra/ports.js';
import { openKafkaLog } from '../../../stores/log/kafkaLog.js';

/** Number of OffsetCommit among the requests of Kafka's protocol. */
const OFFSET_COMMIT = 8;

test('offsets that are set stand, though the connection is cut in their midst', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'tidemill-commits-'));
  onTestFinished(() => rm(directory, { recursive: true }));
  const port = await freePort();
  const proxy = await Proxy.start(port);
  onTestFinished(() => proxy.close());
  const kafka = await startKafka({
    directory: join(directory, 'kafka'),
    memoryMb: 384,
    listeners: [{ name: 'PROXIED', protocol: 'PLAINTEXT', port, advertisedPort: proxy.port }],
  });
  onTestFinished(() => kafka.stop());
  const log = openKafkaLog({ brokers: [`127.0.0.1:${proxy.port}`], clientId: 'test' });
  onTestFinished(() => log.close());
  const places = [0, 1].map((partition) => ({ topic: 'events', partition }));
  await log.ensureTopics([{ topic: 'events', partitions: 2 }]);

  for (const [at, when] of (['before', 'after'] as const).entries()) {
    const group = `cut-${when}`;
    // The group's coordinator is known before the cut: what is lost is the commit and nothing else.
    await log.commitOffsets(group, [{ topic: 'events', partition: 0, offset: 9 }]);
    proxy.strike({ apiKey: OFFSET_COMMIT, when });
    await log.commitOffsets(
      group,
      places.map((place) => ({ ...place, offset: place.partition })),
    );
    expect(proxy.struck).toBe(at + 1);
    expect(await log.committed(group, places)).toMatchObject([{ offset: 0 }, { offset: 1 }]);
  }
});
