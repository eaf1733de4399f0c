import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { ERROR_CODES, type ErrorCode } from '../contracts/errorCodes.js';
import { TidemillError, type ErrorDetails } from '../contracts/errors.js';
import { ADDRESS_VARIABLES, status } from '../infra/runtime.js';
import { WORKER_FLAGS } from '../infra/workerFlags.js';

/** A program of this package that runs as a process of its own: `workers/stream.js`. */
export interface ChildProgram {
  readonly file: string;
  readonly args: readonly string[];
  readonly env?: NodeJS.ProcessEnv;
}

/**
 * Runs a program until it ends, its input, output and errors being those of this process; gives its exit code.
 *
 * @param options.logsTo where what it writes to standard output goes: `stderr` for programs that write logs there.
 * @throws TidemillError the program's own, where it says why it ended.
 */
export async function runProgram(
  program: ChildProgram,
  options: { readonly logsTo?: 'stdout' | 'stderr' } = {},
): Promise<number> {
  const child = spawn(process.execPath, [...WORKER_FLAGS, pathOf(program.file), ...program.args], {
    env: program.env ?? process.env,
    stdio: ['inherit', options.logsTo === 'stderr' ? 2 : 'inherit', 'inherit', 'ipc'],
  });
  const said: Error[] = [];
  child.on('message', (message) => void said.push(errorFrom(message)));
  // A worker drains on these signals: this process stays until it has.
  const forward = (signal: NodeJS.Signals): void => void child.kill(signal);
  process.on('SIGINT', forward).on('SIGTERM', forward);
  try {
    const code = await exitCodeOf(child);
    if (code !== 0 && said[0] !== undefined) throw said[0];
    return code;
  } finally {
    process.off('SIGINT', forward).off('SIGTERM', forward);
  }
}

/**
 * Runs a program that prints one JSON value, and an error as `{error: {code, message, details}}` in its last line on
 * standard error.
 *
 * @param onProgress gets what the program says before the end, lines like `{progress: …}` on standard error.
 * @throws TidemillError the program's own.
 */
export async function readProgram(program: ChildProgram, onProgress?: (progress: unknown) => void): Promise<unknown> {
  const child = spawn(process.execPath, [pathOf(program.file), ...program.args], {
    env: program.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let output = '';
  let errors = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    errors += text;
    if (onProgress === undefined) return;
    const lines = errors.split('\n');
    const rest = lines.pop() ?? '';
    for (const line of lines.filter((each) => each.startsWith('{"progress":')))
      onProgress((JSON.parse(line) as { progress: unknown }).progress);
    errors = [...lines.filter((each) => !each.startsWith('{"progress":')).slice(-100), rest].join('\n');
  });
  const code = await untilEnded(child);
  if (code === 0) return JSON.parse(output);
  throw errorIn(errors) ?? new Error(`${program.file} ended with ${code}: ${errors.trim().slice(-2_000)}`);
}

/** The environment of workers: this process's, completed by the local runtime's addresses and by the options given. */
export async function workerEnvironment(
  home: string,
  options: { readonly project?: string; readonly projectId?: string },
): Promise<NodeJS.ProcessEnv> {
  const env: NodeJS.ProcessEnv = { ...process.env, TIDEMILL_HOME: resolve(home) };
  for (const state of await status(home)) {
    if (state.state === 'running') env[ADDRESS_VARIABLES[state.service]] = state.address;
  }
  if (options.project !== undefined) env['TIDEMILL_PROJECT'] = resolve(options.project);
  if (options.projectId !== undefined) env['TIDEMILL_PROJECT_ID'] = options.projectId;
  return env;
}

/** Whoever ends this process means the program: left alone it would go on with what nobody waits for. */
async function untilEnded(child: ChildProcess): Promise<number> {
  let ended: NodeJS.Signals | null = null;
  const forward = (signal: NodeJS.Signals): void => {
    ended = signal;
    child.kill(signal);
  };
  process.on('SIGINT', forward).on('SIGTERM', forward);
  try {
    return await exitCodeOf(child);
  } finally {
    process.off('SIGINT', forward).off('SIGTERM', forward);
    // Nobody else's business: this process ends as it was told to.
    if (ended !== null) process.kill(process.pid, ended);
  }
}

function pathOf(file: string): string {
  return fileURLToPath(new URL(`../${file}`, import.meta.url));
}

async function exitCodeOf(child: ChildProcess): Promise<number> {
  return new Promise((done, failed) => {
    child.once('error', failed);
    // As shells tell it: 128 and the number of the signal.
    child.once('close', (code, signal) => done(code ?? 128 + (signal === null ? 0 : constants.signals[signal])));
  });
}

function errorIn(text: string): Error | null {
  const line = text.trim().split('\n').at(-1) ?? '';
  return line.startsWith('{"error":') ? errorFrom(JSON.parse(line)) : null;
}

/** The error in `{error: {code, message, details}}`; a defect of the program has no code of ours. */
function errorFrom(said: unknown): Error {
  const { error } = said as { error: { code: string; message: string; details?: ErrorDetails } };
  if (error.code in ERROR_CODES) return new TidemillError(error.code as ErrorCode, error.message, error.details);
  return new Error(error.message);
}
