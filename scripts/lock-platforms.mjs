/**
 * `node scripts/lock-platforms.mjs [--check]`: names in package-lock.json the optional packages of platforms that a registry with
 * fewer packages than npm's left out. Without them `npm ci` refuses the lock, and other platforms do not get their binaries.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { root } from './prerequisites.mjs';

const path = join(root, 'package-lock.json');
const lock = JSON.parse(readFileSync(path, 'utf8'));

const SYSTEMS = /(?:^|-)(darwin|linux|win32)-/;
const PROCESSORS = /-(arm64|x64|ia32|arm|ppc64|s390x)(?:-|$)/;

/** `@swc/core-linux-ppc64-gnu` is for Linux on ppc64 with glibc. */
function entryOf(name, version) {
  const [, os] = SYSTEMS.exec(name) ?? [];
  const [, cpu] = PROCESSORS.exec(name) ?? [];
  if (os === undefined || cpu === undefined) throw new Error(`${name}: its name says no platform`);
  const libc = os !== 'linux' ? null : name.includes('musl') ? 'musl' : 'glibc';
  return { version, cpu: [cpu], ...(libc === null ? {} : { libc: [libc] }), optional: true, os: [os] };
}

const missing = Object.values(lock.packages)
  .flatMap(({ optionalDependencies = {} }) => Object.entries(optionalDependencies))
  .filter(([name]) => lock.packages[`node_modules/${name}`] === undefined);
if (process.argv.includes('--check')) {
  for (const [name] of missing) console.error(`package-lock.json lacks ${name}`);
  if (missing.length > 0) {
    console.error('Run `node scripts/lock-platforms.mjs` and commit what it writes.');
    process.exitCode = 1;
  }
} else {
  for (const [name, version] of missing) lock.packages[`node_modules/${name}`] = entryOf(name, version);
  const [own, ...others] = Object.entries(lock.packages);
  others.sort(([a], [b]) => a.localeCompare(b, 'en'));
  lock.packages = Object.fromEntries([own, ...others]);
  writeFileSync(path, `${JSON.stringify(lock, null, 2)}\n`);
}
