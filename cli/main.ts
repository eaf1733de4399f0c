#!/usr/bin/env node
import { runCommandLine } from './program.js';

/** As shells tell it: 128 and the number of SIGPIPE. */
const NOBODY_READS = 141;

// Who reads may stop when it has enough: `| head`. Nothing is left to be done then, and nobody to be told.
for (const stream of [process.stdout, process.stderr])
  stream.on('error', (error: NodeJS.ErrnoException) => {
    if (error.code !== 'EPIPE') throw error;
    process.exit(NOBODY_READS);
  });
process.exitCode = await runCommandLine(process.argv.slice(2));
