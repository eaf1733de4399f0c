import { expect, test } from 'vitest';
import { openKafkaLog } from '../../../stores/log/kafkaLog.js';
import { startTestKafka } from '../../support/kafka.js';
import { logSuite } from '../../support/logSuite.js';

logSuite('kafka', startTestKafka);

test('a log goes on after somebody else has deleted a topic that it was asked about', async () => {
  const { broker, log, stop } = await startTestKafka();
  const other = openKafkaLog({ brokers: [broker], clientId: 'other' });
  try {
    await log.ensureTopics([{ topic: 'old', partitions: 1 }]);
    await log.offsets('old');
    await other.deleteTopics(['old']);
    while ((await other.partitionCount('old')) !== null);
    await log.ensureTopics([{ topic: 'new', partitions: 2 }]);
    expect(await log.offsets('new')).toHaveLength(2);
    expect(await log.partitionCount('old')).toBeNull();
  } finally {
    await other.close();
    await stop();
  }
});
