/**
 * What a fresh clone lacks: dependencies and the build. Plain JavaScript, since it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const root = dirname(dirname(fileURLToPath(import.meta.url)));

/** Runs a command with its output shown; ends this process with the same code where it fails. */
export function run(command, args, options = {}) {
  const result = spawnSync(command, args, { cwd: root, stdio: 'inherit', ...options });
  if (result.error !== undefined) throw result.error;
  if (result.status !== 0) process.exit(result.status ?? 1);
}

/** Installs the locked dependencies unless exactly these are installed already. Output goes to stderr. */
export function installDependencies() {
  const lock = createHash('sha256')
    .update(readFileSync(join(root, 'package-lock.json')))
    .digest('hex');
  const stamp = join(root, 'node_modules', '.tidemill-lock');
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === lock) return;
  const major = Number(process.versions.node.split('.')[0]);
  if (major < 20) {
    console.error(`Tidemill needs Node.js 20.19 or newer; this is ${process.version}.`);
    process.exit(2);
  }
  console.error('installing dependencies (npm install)');
  // Not `npm ci`, which would install everything anew for each change of the lock. What is locked is installed.
  run('npm', ['install', '--no-audit', '--no-fund'], { stdio: ['ignore', 2, 2] });
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, lock);
}

/** Compiles TypeScript to dist/ and bundles the workflows. Incremental: nothing to do takes seconds. */
export function build() {
  run(process.execPath, [join(root, 'scripts', 'build.mjs')], { stdio: ['ignore', 2, 2] });
}
