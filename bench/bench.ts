import { spawn } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';

/**
 * All benchmarks by name; what follows the name goes to the benchmark.
 *
 *   npm run bench -- SUITE [--json FILE] [options of the suite]
 */
const SUITES: Readonly<Record<string, Suite>> = {
  streams: { files: ['streams/streams.js'], writesFile: true },
  fraud: { files: ['streams/fraudScoring.js', 'streams/fraudLatency.js'], writesFile: false },
  'fraud-scoring': { files: ['streams/fraudScoring.js'], writesFile: false },
  'fraud-latency': { files: ['streams/fraudLatency.js'], writesFile: false },
  'key-scaling': { files: ['streams/keyScaling.js'], writesFile: false },
  online: { files: ['online.js'], writesFile: false },
  monitor: { files: ['monitor.js'], writesFile: false },
  operator: { files: ['operator.js'], writesFile: false },
  recovery: { files: ['streams/recovery.js'], writesFile: false },
  rollout: { files: ['rollout.js'], writesFile: false },
  scoring: { files: ['scoring.js'], writesFile: false },
  'snapshot-copies': { files: ['snapshotCopies.js'], writesFile: false },
};

interface Suite {
  /** Compiled programs beside this one, run one after the other. */
  readonly files: readonly string[];
  /** False: the program takes `--json` alone and writes one JSON text to its standard output. */
  readonly writesFile: boolean;
}

const [name = '', ...args] = process.argv.slice(2);
const suite = SUITES[name];
if (suite === undefined) {
  console.error(`usage: npm run bench -- SUITE [--json FILE] [options]; suites: ${Object.keys(SUITES).join(', ')}`);
  process.exit(2);
}
if (suite.writesFile) for (const file of suite.files) requireSuccess((await runProgram(file, args, false)).code);
else {
  const at = args.indexOf('--json');
  const target = at < 0 ? undefined : args[at + 1];
  // Without a file behind it, `--json` writes to the standard output, as the program does by itself.
  const toFile = target !== undefined && !target.startsWith('--');
  const passed = toFile ? args.filter((_, place) => place !== at + 1) : args;
  const found: Record<string, unknown> = {};
  for (const file of suite.files) {
    const { code, output } = await runProgram(file, passed, toFile);
    requireSuccess(code);
    if (toFile) found[file.replace(/^.*\/|\.js$/g, '')] = JSON.parse(output);
  }
  if (toFile) await writeFile(target, `${JSON.stringify({ suite: name, ...found }, null, 2)}\n`);
}

/** @param collect keeps its standard output, which is else shown. */
async function runProgram(
  file: string,
  programArgs: readonly string[],
  collect: boolean,
): Promise<{ code: number; output: string }> {
  const path = fileURLToPath(new URL(file, import.meta.url));
  const child = spawn(process.execPath, [...process.execArgv, path, ...programArgs], {
    stdio: ['inherit', collect ? 'pipe' : 'inherit', 'inherit'],
  });
  let output = '';
  child.stdout?.on('data', (chunk: Buffer) => (output += chunk.toString()));
  const code = await new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  return { code: code ?? 1, output };
}

function requireSuccess(code: number): void {
  if (code !== 0) process.exit(code);
}
