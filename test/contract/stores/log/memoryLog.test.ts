import { createMemoryLog } from '../../../../stores/log/memoryLog.js';
import { logSuite } from '../../../support/logSuite.js';

logSuite('memory', () => {
  let now = 0;
  return Promise.resolve({ log: createMemoryLog({ clock: () => now++ }), stop: () => Promise.resolve() });
});
