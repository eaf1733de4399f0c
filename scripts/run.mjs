/** `node scripts/run.mjs FILE ARGS…`: installs and builds what is missing, then runs a compiled program of this repository. */
import { join } from 'node:path';
import { build, installDependencies, root, run } from './prerequisites.mjs';

const [file, ...args] = process.argv.slice(2);
installDependencies();
build();
run(process.execPath, ['--max-old-space-size=6144', join(root, file), ...args], { cwd: process.cwd() });
