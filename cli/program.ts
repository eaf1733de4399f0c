import { Command, CommanderError, Option } from 'commander';
import { codedError } from '../contracts/codedError.js';
import { isTidemillError, TidemillError } from '../contracts/errors.js';
import { addApprovalCommands } from './commands/approvals.js';
import { addAuditCommand } from './commands/audit.js';
import { addArchiveCommands } from './commands/archive.js';
import { addDeadLetterCommands } from './commands/deadLetters.js';
import { addFeatureCommands } from './commands/features.js';
import { addFollowCommand } from './commands/follow.js';
import { addGenerateCommands } from './commands/generate.js';
import { addLineageCommands } from './commands/lineage.js';
import { addModelCommands } from './commands/models.js';
import { addProjectCommands } from './commands/project.js';
import { addPruneCommand } from './commands/prune.js';
import { addReplayCommand } from './commands/replay.js';
import { addWorkerCommand } from './commands/worker.js';
import { addRolloutCommands } from './commands/rollouts.js';
import { addRuntimeCommands } from './commands/runtime.js';
import { addStreamCommands } from './commands/stream.js';
import { standardConsole } from './standardConsole.js';
import { FORMATS, formatError, type Console, type Format } from './output.js';

/** As package.json has it. */
const VERSION = '0.1.0';

/** What every command knows: options of the program, and where its output goes. */
export interface Context {
  readonly home: string;
  readonly format: Format;
  readonly console: Console;
  /** Sets the exit code of a command that ran to its end all the same. */
  readonly exit: (code: number) => void;
}

/**
 * Runs `tidemill ARGS…` and gives its exit code: 0 done, 1 failed, 2 usage, 3 a comparison says no, 4 not allowed,
 * 5 a dependency is down, 6 timeout, 130 interrupted, 141 nobody reads the output. Only results go to standard output.
 */
export async function runCommandLine(args: readonly string[], console: Console = standardConsole()): Promise<number> {
  let code = 0;
  const program = new Command('tidemill');
  const format = (): Format => {
    const given = program.opts<{ json?: boolean; format?: Format }>();
    return given.json === true ? 'json' : (given.format ?? 'table');
  };
  const context = (): Context => ({
    home: program.opts<{ home: string }>().home,
    format: format(),
    console,
    exit: (value) => (code = value),
  });
  program
    .description('Features and models defined once, in batch and on the stream.')
    .option(
      '--home <folder>',
      'folder of the local runtime and of local state',
      process.env['TIDEMILL_HOME'] ?? '.tidemill',
    )
    .addOption(new Option('-o, --format <format>', 'form of the result').choices(FORMATS).default('table'))
    .option('--json', 'short for -o json')
    .version(VERSION, '--version', 'print the version')
    .exitOverride()
    // Usage errors are reported below, in the form that was asked for.
    .configureOutput({
      writeOut: (text) => console.out(text.trimEnd()),
      // Programs get one JSON value, which the error below is.
      writeErr: (text) => (format() === 'table' ? console.error(text.trimEnd()) : undefined),
      outputError: () => undefined,
    });
  addRuntimeCommands(program, context);
  addStreamCommands(program, context);
  addReplayCommand(program, context);
  addArchiveCommands(program, context);
  addDeadLetterCommands(program, context);
  addProjectCommands(program, context);
  addModelCommands(program, context);
  addLineageCommands(program, context);
  addPruneCommand(program, context);
  addWorkerCommand(program, context);
  addRolloutCommands(program, context);
  addApprovalCommands(program, context);
  addAuditCommand(program, context);
  addFeatureCommands(program, context);
  addFollowCommand(program, context);
  addGenerateCommands(program, context);
  try {
    await program.parseAsync(args, { from: 'user' });
    return code;
  } catch (error) {
    if (error instanceof CommanderError) {
      if (error.exitCode === 0) return 0;
      // Without a command the help was printed already.
      if (error.code === 'commander.help' && format() === 'table') return 2;
    }
    const known = error instanceof CommanderError ? usageError(error, args) : codedError(error);
    console.error(formatError(known, format()));
    return isTidemillError(known) ? known.description.exit : 1;
  }
}

function usageError({ code, message }: CommanderError, args: readonly string[]): TidemillError {
  const text = code === 'commander.help' ? 'a command is missing' : message.replace(/^error: /, '');
  return new TidemillError('USAGE_INVALID', text, { args });
}
