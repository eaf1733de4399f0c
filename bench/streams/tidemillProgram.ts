import { fileURLToPath } from 'node:url';
import { environmentOf, type Configuration } from '../../contracts/configuration.js';
import { onlineStoreIn } from '../../contracts/onlineAddress.js';
import { registryIn } from '../../contracts/registryAddress.js';
import { groupId, streamTopic, type TopologyIdentity } from '../../contracts/topics.js';
import { WORKER_FLAGS } from '../../infra/workerFlags.js';
import type { StreamProgram } from './streamProgram.js';
import { perUser } from './tumblingProject.js';

/**
 * Stream workers as they run in production: compiled, one process each. Where TIDEMILL_PROFILE names a folder, each writes a
 * CPU profile into it.
 */
export const tidemill: StreamProgram = {
  name: 'tidemill',
  version: 'this one',
  guarantee: 'exactly-once',
  workers: 1,
  workersAre: 'processes',
  settings: {
    allowedLateness: '10 s',
    emit: 'onClose',
    duplicates: 'count, as the others do',
    state: 'in memory, snapshots in LMDB; no changelog topic, since it is replayed from the source',
    Node: WORKER_FLAGS.join(' '),
  },
  async prepare() {
    const projectModule = fileURLToPath(new URL('./tumblingProject.js', import.meta.url));
    const worker = fileURLToPath(new URL('../../workers/stream.js', import.meta.url));
    const profiler = new URL('../cpuProfile.js', import.meta.url).href;
    return async ({ project, broker, workers, directory }) => {
      const identity: TopologyIdentity = { project, name: `window.${perUser.compiled.name}`, generation: 1 };
      const processes = Array.from({ length: workers }, (_, at) => {
        const configuration: Configuration = {
          project,
          projectModule,
          kafkaBrokers: [broker],
          temporalAddress: '127.0.0.1:1',
          temporalNamespace: 'default',
          home: directory,
          registry: registryIn(directory),
          online: onlineStoreIn(directory),
        };
        const profiled = process.env['TIDEMILL_PROFILE'] === undefined ? [] : ['--import', profiler];
        const args = [...WORKER_FLAGS, ...profiled, worker, '--topologies', identity.name, '--instance', `bench-${at}`];
        return { program: process.execPath, args, env: environmentOf(configuration) };
      });
      const results = streamTopic(project, perUser.compiled.to);
      // A task takes records once it has recovered; the worker's own word comes before it joins its group.
      return { processes, startWord: 'recovered', results, group: groupId(identity) };
    };
  },
};
