import { readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { down } from '../../../infra/runtime.js';

/** Stops the runtime and removes what the demos made. */
export async function clean(home: string): Promise<void> {
  const stopped = await down(home, { purge: true });
  const runs = await readdir(join(home, 'demo')).catch(() => []);
  await rm(join(home, 'demo'), { recursive: true, force: true });
  console.log(`stopped ${stopped.join(' and ') || 'nothing'}, removed ${runs.length} runs`);
}
