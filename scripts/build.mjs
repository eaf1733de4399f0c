/** Compiles TypeScript to dist/ and bundles the workflow code once, so that workers start without webpack. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { root, run } from './prerequisites.mjs';

run(process.execPath, [join(root, 'node_modules', 'typescript', 'bin', 'tsc'), '-p', 'tsconfig.build.json']);
const bundler = join(root, 'dist', 'workers', 'bundleWorkflows.js');
if (existsSync(bundler)) run(process.execPath, [bundler]);
