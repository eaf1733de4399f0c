import type { AddressInfo } from 'node:net';
import { isTidemillError, TidemillClient } from 'tidemill/client';
import { createRolloutService } from './rolloutService.js';

/**
 * Runs the service on 127.0.0.1, port PORT (a free one by default), against the project of the environment:
 *
 *   TIDEMILL_PROJECT_ID=fraud-demo TIDEMILL_TEMPORAL=127.0.0.1:7233 node dist/examples/service/main.js
 */
const { TIDEMILL_PROJECT_ID, TIDEMILL_TEMPORAL, PORT } = process.env;
const client = await TidemillClient.connect({
  project: TIDEMILL_PROJECT_ID ?? 'fraud-demo',
  ...(TIDEMILL_TEMPORAL === undefined ? {} : { address: TIDEMILL_TEMPORAL }),
}).catch((error: unknown) => {
  if (!isTidemillError(error)) throw error;
  console.error(`${error.code}: ${error.message}\n  ${error.action}`);
  process.exit(error.description.exit);
});
const server = createRolloutService(client);
server.listen(Number(PORT ?? 0), '127.0.0.1', () => {
  console.log(`listening on http://127.0.0.1:${(server.address() as AddressInfo).port}`);
});
process.once('SIGTERM', stop).once('SIGINT', stop);

function stop(): void {
  server.closeAllConnections();
  server.close(() => void client.close());
}
