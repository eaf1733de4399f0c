import { kafkaAccessFrom } from '../contracts/kafkaAccess.js';
import { openKafkaLog } from '../stores/log/kafkaLog.js';
import type { KafkaOptions } from '../stores/log/kafkaClient.js';
import { readKafkaSecurity } from '../stores/log/kafkaSecurity.js';
import type { Log } from '../stores/log/log.js';

/**
 * Opens the log with what the environment says about access to it.
 *
 * @param name under which the broker sees this process, unless TIDEMILL_KAFKA_CLIENT_ID says another.
 * @throws TidemillError CONFIGURATION_INVALID
 */
export async function openLog(
  brokers: readonly string[],
  name: string,
  onClientLog?: KafkaOptions['onClientLog'],
): Promise<Log> {
  const access = kafkaAccessFrom(process.env);
  return openKafkaLog({
    brokers,
    clientId: access.clientId ?? name,
    security: await readKafkaSecurity(access),
    ...(onClientLog === undefined ? {} : { onClientLog }),
  });
}
