import { join } from 'node:path';
import type { StreamProgram } from '../streamProgram.js';
import { peerFile } from './peerFiles.js';
import { pythonWith } from './pythonEnvironment.js';

const VERSION = '3.25.0';
const PROCESSES = Number(process.env['QUIX_PROCESSES'] ?? 1);

/** Quix Streams: a Python program of our own, members of one consumer group. */
export const quix: StreamProgram = {
  name: 'quix-streams',
  version: VERSION,
  guarantee: 'exactly-once',
  settings: {
    processing_guarantee: 'exactly-once',
    processes: String(PROCESSES),
  },
  async prepare(say) {
    const python = await pythonWith('quix', VERSION, say);
    return async ({ project, broker, source, directory }) => {
      const group = `${project}.quix-streams`;
      const results = `${project}.quix-streams.results`;
      const processes = Array.from({ length: PROCESSES }, (_, at) => ({
        program: python,
        args: [peerFile('quix', 'tumbling.py'), broker, source, results, group, join(directory, String(at))],
      }));
      return { processes, results, group };
    };
  },
};
