import { join } from 'node:path';
import type { StreamProgram } from '../streamProgram.js';
import { peerFile } from './peerFiles.js';
import { pythonWith } from './pythonEnvironment.js';

const VERSION = '3.25.0';

/** Quix Streams: a Python program of our own, members of one consumer group. */
export const quix: StreamProgram = {
  name: 'quix-streams',
  version: VERSION,
  guarantee: 'exactly-once',
  workers: 2,
  workersAre: 'processes',
  settings: {
    processing_guarantee: 'exactly-once',
    commit_interval: '1 s',
    aggregation: 'one reduce over a list of totals',
    final: 'closing_strategy="partition"',
    grace_ms: '10,000',
    state: 'RocksDB with a changelog topic',
    JSON: 'orjson, its own choice',
  },
  async prepare(say) {
    const python = await pythonWith('quix', VERSION, say);
    return async ({ project, broker, source, partitions, workers, directory }) => {
      const group = `${project}.quix-streams`;
      const results = `${project}.quix-streams.results`;
      const processes = Array.from({ length: workers }, (_, at) => ({
        program: python,
        args: [peerFile('quix', 'tumbling.py'), broker, source, results].concat([
          String(partitions),
          group,
          join(directory, String(at)),
        ]),
      }));
      return { processes, results, group };
    };
  },
};
