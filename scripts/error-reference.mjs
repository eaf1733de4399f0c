/** Writes docs/reference/errors.md from the registry of error codes; `--check` only compares. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { build, root } from './prerequisites.mjs';

build();
const { ERROR_CODES } = await import(join(root, 'dist', 'contracts', 'errorCodes.js'));
const rows = Object.entries(ERROR_CODES)
  .sort(([a], [b]) => (a < b ? -1 : 1))
  .map(
    ([code, { status, exit, summary, action }]) =>
      `## ${code}\n\n${summary}\n\n**What to do.** ${action}\n\nHTTP ${status}, exit code ${exit}.\n`,
  );
const text = `# Errors

Every error of Tidemill carries one of these stable codes, the values at fault, and what to do. This page is written from
\`contracts/errorCodes.ts\` by \`npm run docs:errors\`.

${rows.join('\n')}`;
const path = join(root, 'docs', 'reference', 'errors.md');
if (process.argv.includes('--check')) {
  if (readFileSync(path, 'utf8') !== text) {
    console.error('docs/reference/errors.md is not what the registry says: run npm run docs:errors');
    process.exit(1);
  }
} else writeFileSync(path, text);
