import { mkdir } from 'node:fs/promises';
import { runCommand } from '../../../infra/command.js';
import { freePort } from '../../../infra/ports.js';
import type { StreamProgram } from '../streamProgram.js';
import { peerFile } from './peerFiles.js';
import { pythonWith } from './pythonEnvironment.js';

const VERSION = '0.21.1';
const PROCESSES = Number(process.env['BYTEWAX_PROCESSES'] ?? 1);

/** Bytewax: a Python dataflow of our own, run as a cluster of processes. It has no transactions with Kafka. */
export const bytewax: StreamProgram = {
  name: 'bytewax',
  version: VERSION,
  guarantee: 'at-least-once',
  settings: {
    processes: String(PROCESSES),
  },
  async prepare(say) {
    const python = await pythonWith('bytewax', VERSION, say);
    return async ({ project, broker, source, directory }) => {
      const results = `${project}.bytewax.results`;
      await mkdir(directory, { recursive: true });
      await runCommand(python, ['-m', 'bytewax.recovery', directory, String(PROCESSES)]);
      const ports = [];
      for (let at = 0; at < PROCESSES; at++) ports.push(await freePort());
      const addresses = ports.map((port) => `127.0.0.1:${port}`).join(';');
      const processes = ports.map((_, at) => ({
        program: python,
        args: [peerFile('bytewax', 'tumbling.py'), broker, source, results, String(at), addresses, directory],
      }));
      return { processes, results, group: null };
    };
  },
};
