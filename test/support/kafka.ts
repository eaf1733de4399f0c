import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startKafka } from '../../infra/kafka.js';
import { openKafkaLog } from '../../stores/log/kafkaLog.js';
import type { Log } from '../../stores/log/log.js';

export interface TestKafka {
  readonly broker: string;
  readonly log: Log;
  readonly directory: string;
  /** Stops the broker and removes its folder. */
  stop(): Promise<void>;
}

/** A broker of its own for one test file, on a free port in a folder of its own. */
export async function startTestKafka(): Promise<TestKafka> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemill-kafka-'));
  const kafka = await startKafka({ directory: join(directory, 'kafka'), memoryMb: 384 });
  const log = openKafkaLog({ brokers: [kafka.broker], clientId: 'test' });
  return {
    broker: kafka.broker,
    log,
    directory,
    stop: async () => {
      await log.close();
      await kafka.stop();
      await rm(directory, { recursive: true });
    },
  };
}
