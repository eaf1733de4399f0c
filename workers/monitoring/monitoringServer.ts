import { createServer, type ServerResponse } from 'node:http';
import { networkInterfaces } from 'node:os';
import type { AddressInfo } from 'node:net';
import type { MonitoringAddress, Readiness } from '../../contracts/monitoring.js';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { Metrics } from './metrics.js';

/** What a worker says about itself, when it is asked. */
export interface Monitored {
  readonly metrics: Metrics;
  readonly readiness: () => Readiness;
  /** Answer of /status; null where there is none. */
  readonly status: () => unknown;
}

export interface MonitoringServer {
  /** HOST:PORT under which others reach it. */
  readonly address: string;
  close(): Promise<void>;
}

/**
 * Opens the port on which a worker is watched:
 *
 *   /metrics        Prometheus text
 *   /health/live    200 while the process answers at all
 *   /health/ready   200 or 503, with the reasons
 *   /status         what its tasks do
 *
 * It only tells; nothing can be changed through it.
 *
 * @throws TidemillError CONFIGURATION_INVALID where the port cannot be had.
 */
export async function openMonitoring(
  { host, port }: MonitoringAddress,
  { metrics, readiness, status }: Monitored,
): Promise<MonitoringServer> {
  const server = createServer((request, response) => {
    if (request.method !== 'GET' && request.method !== 'HEAD') {
      json(response, 405, { error: 'only GET' });
      return;
    }
    switch (new URL(request.url ?? '/', 'http://worker').pathname) {
      case '/metrics':
        metrics.text().then(
          (text) => response.writeHead(200, { 'content-type': metrics.contentType }).end(text),
          (error: unknown) => json(response, 500, { error: messageOf(error) }),
        );
        return;
      case '/health/live':
        json(response, 200, { live: true });
        return;
      case '/health/ready': {
        const answer = readiness();
        json(response, answer.ready ? 200 : 503, answer);
        return;
      }
      case '/status':
        json(response, 200, status());
        return;
      default:
        json(response, 404, { error: 'there are /metrics, /health/live, /health/ready and /status' });
    }
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', (error) =>
      reject(
        new TidemillError(
          'CONFIGURATION_INVALID',
          `TIDEMILL_METRICS_PORT: ${host}:${port} cannot be listened on: ${messageOf(error)}`,
          { variable: 'TIDEMILL_METRICS_PORT', host, port },
          { cause: error },
        ),
      ),
    );
    server.listen(port, host, resolve);
  });
  // Watching keeps nobody from stopping.
  server.unref();
  const { port: taken } = server.address() as AddressInfo;
  return {
    address: `${reachable(host)}:${taken}`,
    close: async () => {
      server.closeAllConnections();
      await new Promise<void>((resolve) => server.close(() => resolve()));
    },
  };
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(`${JSON.stringify(body)}\n`);
}

/** Where all addresses are listened on, others are told one of the network's. */
function reachable(host: string): string {
  if (host !== '0.0.0.0' && host !== '::') return host.includes(':') ? `[${host}]` : host;
  const found = Object.values(networkInterfaces())
    .flat()
    .find((each) => each !== undefined && !each.internal && each.family === 'IPv4');
  return found?.address ?? '127.0.0.1';
}
