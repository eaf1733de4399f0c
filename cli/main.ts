#!/usr/bin/env node
import { Command, CommanderError } from 'commander';
import { isTidemillError } from '../contracts/errors.js';
import { addGenerateCommands } from './commands/generate.js';
import { addRuntimeCommands } from './commands/runtime.js';
import { addStreamCommands } from './commands/stream.js';
import { printError } from './output.js';

/** The `tidemill` command. Output is for people; `--json` is for programs; errors go to stderr with their own exit code. */
export function createProgram(): Command {
  const program = new Command('tidemill')
    .description('Features and models defined once, in batch and on the stream.')
    .option(
      '--home <folder>',
      'folder of the local runtime and of local state',
      process.env['TIDEMILL_HOME'] ?? '.tidemill',
    )
    .option('--json', 'output for programs', false)
    .exitOverride()
    .configureOutput({ writeErr: (text) => process.stderr.write(text) });
  addRuntimeCommands(program);
  addStreamCommands(program);
  addGenerateCommands(program);
  return program;
}

const program = createProgram();
try {
  await program.parseAsync();
} catch (error) {
  if (error instanceof CommanderError) process.exitCode = error.exitCode === 0 ? 0 : 2;
  else {
    printError(error, program.opts<{ json: boolean }>().json);
    process.exitCode = isTidemillError(error) ? error.description.exit : 1;
  }
}
