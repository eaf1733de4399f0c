#!/usr/bin/env node
/** The `tidemill` command: on a fresh clone it first installs and builds what is missing. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { build, installDependencies, root } from './prerequisites.mjs';

const program = join(root, 'dist', 'cli', 'main.js');
if (!existsSync(program)) {
  console.error('building (once)');
  installDependencies();
  build();
}
await import(pathToFileURL(program).href);
