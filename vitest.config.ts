import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const alias = {
  'tidemill/client': fileURLToPath(new URL('./client/index.ts', import.meta.url)),
  'tidemill/testing': fileURLToPath(new URL('./testing/index.ts', import.meta.url)),
  tidemill: fileURLToPath(new URL('./index.ts', import.meta.url)),
};

/** One project per kind of test; those that start servers run one file at a time on a machine of two cores. */
const kinds = [
  { name: 'unit', timeoutMs: 60_000, parallel: true },
  { name: 'contract', timeoutMs: 120_000, parallel: true },
  { name: 'golden', timeoutMs: 600_000, parallel: false },
  { name: 'replay', timeoutMs: 180_000, parallel: false },
  { name: 'integration', timeoutMs: 300_000, parallel: false },
];

export default defineConfig({
  resolve: { alias },
  test: {
    projects: kinds.map(({ name, timeoutMs, parallel }) => ({
      resolve: { alias },
      test: {
        name,
        include: [`test/${name}/**/*.test.ts`],
        testTimeout: timeoutMs,
        hookTimeout: timeoutMs,
        fileParallelism: parallel,
        pool: 'forks' as const,
      },
    })),
  },
});
