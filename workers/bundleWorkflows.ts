import { writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type * as TemporalWorker from '@temporalio/worker';

/** Bundles the workflow code once, at build time, so that workers start without a bundler. */
const { bundleWorkflowCode } = createRequire(import.meta.url)('@temporalio/worker') as typeof TemporalWorker;

const { code } = await bundleWorkflowCode({
  workflowsPath: fileURLToPath(new URL('../workflows/index.js', import.meta.url)),
  logger: {
    log: () => undefined,
    trace: () => undefined,
    debug: () => undefined,
    info: () => undefined,
    warn: (message) => console.error(message),
    // The reason why a module may not be bundled only comes here.
    error: (message, meta) => console.error(message, meta ?? ''),
  },
});
await writeFile(fileURLToPath(new URL('../workflow-bundle.js', import.meta.url)), code);
