import { writeFileSync } from 'node:fs';
import { Session } from 'node:inspector';
import { join } from 'node:path';

/**
 * Loaded before a worker (`node --import`): writes a CPU profile of its whole life into the folder TIDEMILL_PROFILE when the
 * process ends.
 */
const session = new Session();
session.connect();
session.post('Profiler.enable');
session.post('Profiler.setSamplingInterval', { interval: 500 });
session.post('Profiler.start');
process.on('exit', () => {
  // The session answers in the same turn: at the exit of a process there is no other.
  session.post('Profiler.stop', (_error, found) => {
    const file = join(process.env['TIDEMILL_PROFILE'] ?? '.', `${process.pid}.cpuprofile`);
    writeFileSync(file, JSON.stringify(found.profile));
  });
});
