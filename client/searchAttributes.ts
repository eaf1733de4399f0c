import type { Client } from '@temporalio/client';
import { SEARCH_MODEL, SEARCH_PHASE, SEARCH_VERSION } from '../contracts/workflows.js';
import { reached } from './reached.js';

/** Temporal's number for the type Keyword. */
const KEYWORD = 2;

/**
 * Search attributes of the workflows that the namespace lacks: without them every workflow that sets one stands still.
 *
 * @throws TidemillError TEMPORAL_UNAVAILABLE
 */
export async function missingSearchAttributes({ connection, options }: Client): Promise<readonly string[]> {
  const { customAttributes } = await reached(() =>
    connection.operatorService.listSearchAttributes({ namespace: options.namespace }),
  );
  return [SEARCH_MODEL, SEARCH_PHASE, SEARCH_VERSION].filter((name) => !(name in customAttributes));
}

/**
 * Registers what is missing, and gives it.
 *
 * @throws TidemillError TEMPORAL_UNAVAILABLE
 */
export async function ensureSearchAttributes(temporal: Client): Promise<readonly string[]> {
  const missing = await missingSearchAttributes(temporal);
  if (missing.length === 0) return missing;
  const { connection, options } = temporal;
  await reached(() =>
    connection.operatorService.addSearchAttributes({
      namespace: options.namespace,
      searchAttributes: Object.fromEntries(missing.map((name) => [name, KEYWORD])),
    }),
  );
  return missing;
}
