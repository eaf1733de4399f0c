import { mkdir } from 'node:fs/promises';
import { runCommand } from '../../../infra/command.js';
import { freePort } from '../../../infra/ports.js';
import type { StreamProgram } from '../streamProgram.js';
import { peerFile } from './peerFiles.js';
import { pythonWith } from './pythonEnvironment.js';

const VERSION = '0.21.1';

/** Bytewax: a Python dataflow of our own, run as a cluster of processes. It has no transactions with Kafka. */
export const bytewax: StreamProgram = {
  name: 'bytewax',
  version: VERSION,
  guarantee: 'at-least-once',
  workers: 2,
  workersAre: 'processes',
  settings: {
    recovery: 'SQLite partitions, a snapshot every 5 s',
    EventClock: 'wait_for_system_duration 10 s, its system clock stands still',
    fold_window: 'ordered=False, one tuple of totals',
    KafkaSource: 'tail=False, batch_size 5,000',
    JSON: 'orjson, a batch at a time',
  },
  async prepare(say) {
    const python = await pythonWith('bytewax', VERSION, say);
    return async ({ project, broker, source, workers, directory }) => {
      const results = `${project}.bytewax.results`;
      await mkdir(directory, { recursive: true });
      await runCommand(python, ['-m', 'bytewax.recovery', directory, String(workers)]);
      const ports = [];
      for (let at = 0; at < workers; at++) ports.push(await freePort());
      const addresses = ports.map((port) => `127.0.0.1:${port}`).join(';');
      const processes = ports.map((_, at) => ({
        program: python,
        args: [peerFile('bytewax', 'tumbling.py'), broker, source, results, String(at), addresses, directory],
      }));
      return { processes, results, group: null };
    };
  },
};
