import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { onlineStoreIn } from '../../contracts/onlineAddress.js';
import { registryIn } from '../../contracts/registryAddress.js';
import { startKafka } from '../../infra/kafka.js';
import { openKafkaLog } from '../../stores/log/kafkaLog.js';
import { fillTumblingTopic } from './tumblingEvents.js';
import { checkTumbling, runTumbling, tumblingTopics } from './runTumbling.js';

/**
 * One-minute windows {count, sum, mean, max} per user over JSON events, exactly once: a broker of its own, a topic filled
 * before, and one worker process.
 *
 *   node dist/bench/streams/tumbling.js --keys 1000 --events 1000000
 */
const { values } = parseArgs({
  options: {
    events: { type: 'string', default: '1000000' },
    keys: { type: 'string', default: '1000' },
    partitions: { type: 'string', default: '4' },
    runs: { type: 'string', default: '1' },
    seed: { type: 'string', default: '1' },
  },
});
const partitions = Number(values.partitions);
const options = { events: Number(values.events), keys: Number(values.keys), seed: Number(values.seed) };
const directory = await mkdtemp(join(tmpdir(), 'tidemill-bench-tumbling-'));
const kafka = await startKafka({ directory: join(directory, 'kafka'), memoryMb: 512 });
const log = openKafkaLog({ brokers: [kafka.broker], clientId: 'bench' });
try {
  for (let run = 1; run <= Number(values.runs); run++) {
    const project = `tumbling${run}`;
    const { source } = tumblingTopics(project);
    await log.ensureTopics([{ topic: source, partitions }]);
    await fillTumblingTopic(log, source, partitions, options);
    const home = join(directory, project);
    const result = await runTumbling(log, {
      project,
      projectModule: '',
      kafkaBrokers: [kafka.broker],
      temporalAddress: '127.0.0.1:1',
      temporalNamespace: 'default',
      home,
      registry: registryIn(home),
      online: onlineStoreIn(home),
    });
    const checked = await checkTumbling(log, result.resultsTopic, options);
    console.log(JSON.stringify({ ...options, ...result, ...checked }));
    if (checked.findings.length > 0) process.exitCode = 3;
  }
} finally {
  await log.close();
  await kafka.stop();
  await rm(directory, { recursive: true });
}
