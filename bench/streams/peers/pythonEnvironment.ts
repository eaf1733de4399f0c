import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder, fileSha256, fillCache } from '../../../infra/cache.js';
import { programOnPath, runCommand } from '../../../infra/command.js';
import { peerFile } from './peerFiles.js';

/** Written last into an environment: the lock file that it was made from. */
const STAMP = 'requirements.sha256';

/**
 * Python of an environment with exactly the packages of `peers/PEER/requirements.txt`, each compared with its hashes by pip;
 * made in the cache where it is not there yet.
 */
export async function pythonWith(peer: string, version: string, say: (text: string) => void): Promise<string> {
  const requirements = peerFile(peer, 'requirements.txt');
  const lock = await fileSha256(requirements);
  const folder = cacheFolder(`${peer}-${version}`);
  const problemOf = async (filled: string): Promise<string | null> => {
    const stamp = await readFile(join(filled, STAMP), 'utf8').catch(() => null);
    return stamp === lock ? null : 'made from another lock file';
  };
  const make = async (unfinished: string): Promise<void> => {
    const python = await programOnPath('python3');
    if (python === null) throw new Error('python3 is not on PATH');
    say(`fetching ${peer} ${version} by pip`);
    await runCommand(python, ['-m', 'venv', unfinished]);
    // Only what was built before, and only what the lock file names.
    const only = ['--quiet', '--require-hashes', '--no-deps', '--only-binary=:all:', '-r', requirements];
    await runCommand(join(unfinished, 'bin', 'python'), ['-m', 'pip', 'install', ...only]);
    await writeFile(join(unfinished, STAMP), lock ?? '');
  };
  if ((await problemOf(folder)) !== null) {
    const problems = await fillCache(folder, [make], problemOf);
    if (problems !== null) throw new Error(problems.join('; '));
  }
  return join(folder, 'bin', 'python');
}
