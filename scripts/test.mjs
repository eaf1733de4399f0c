/**
 * `npm test [-- --kind unit,contract …] [-- FILTER]`: installs what is missing, builds, runs the tests of every kind and
 * says in its last line how many passed, failed and were skipped.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { build, installDependencies, root } from './prerequisites.mjs';

const args = process.argv.slice(2);
const kindAt = args.indexOf('--kind');
const kinds =
  kindAt === -1 ? ['unit', 'contract', 'golden', 'replay', 'integration'] : args.splice(kindAt, 2)[1].split(',');

installDependencies();
build();

const folder = mkdtempSync(join(tmpdir(), 'tidemill-test-'));
const totals = { passed: 0, failed: 0, skipped: 0 };
const lines = [];
let broken = false;
for (const kind of kinds) {
  if (!existsSync(join(root, 'test', kind))) continue;
  const report = join(folder, `${kind}.json`);
  const started = Date.now();
  const result = spawnSync(
    process.execPath,
    [
      join(root, 'node_modules', 'vitest', 'vitest.mjs'),
      'run',
      '--project',
      kind,
      '--reporter=default',
      '--reporter=json',
      `--outputFile.json=${report}`,
      ...args,
    ],
    { cwd: root, stdio: 'inherit' },
  );
  const seconds = ((Date.now() - started) / 1000).toFixed(0);
  if (!existsSync(report)) {
    // A filter may match no file of this kind; without a filter a missing report is a failure.
    if (args.length === 0) broken = true;
    continue;
  }
  const summary = JSON.parse(readFileSync(report, 'utf8'));
  const skipped = summary.numPendingTests + summary.numTodoTests;
  totals.passed += summary.numPassedTests;
  totals.failed += summary.numFailedTests;
  totals.skipped += skipped;
  if (result.status !== 0) broken = true;
  lines.push(
    `${kind}: ${summary.numPassedTests} passed, ${summary.numFailedTests} failed, ${skipped} skipped in ${seconds} s`,
  );
}
rmSync(folder, { recursive: true });

console.log(`\n${lines.join('\n')}`);
console.log(`${totals.passed} passed, ${totals.failed} failed, ${totals.skipped} skipped`);
process.exit(broken || totals.failed > 0 || totals.passed === 0 ? 1 : 0);
