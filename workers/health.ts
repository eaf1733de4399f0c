import { monitoringAddressFrom, type Readiness } from '../contracts/monitoring.js';
import { messageOf } from '../contracts/errors.js';

/**
 * Health check of a container: asks the worker in it whether it is ready, by the settings that the worker has. Ends with 0 where it
 * is, else with 1, and says why.
 *
 *   node dist/workers/health.js
 */
const ANSWER_MS = 2_500;

try {
  const address = monitoringAddressFrom(process.env);
  if (address === null || address.port === 0) throw new Error('TIDEMILL_METRICS_PORT names no port');
  // Who listens on all addresses listens on this one, too.
  const host = address.host === '0.0.0.0' ? '127.0.0.1' : address.host === '::' ? '[::1]' : address.host;
  const response = await fetch(`http://${host}:${address.port}/health/ready`, {
    signal: AbortSignal.timeout(ANSWER_MS),
  });
  const { ready, reasons } = (await response.json()) as Readiness;
  process.stdout.write(ready ? 'ready\n' : `${reasons.map(({ text }) => text).join('\n')}\n`);
  process.exitCode = ready ? 0 : 1;
} catch (error) {
  process.stdout.write(`${messageOf(error)}\n`);
  process.exitCode = 1;
}
