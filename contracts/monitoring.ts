import { TidemillError } from './errors.js';

/** Where a worker shows metrics and health; null where it shows nothing. */
export interface MonitoringAddress {
  /** TIDEMILL_METRICS_HOST; `127.0.0.1` by default, `0.0.0.0` in a container. */
  readonly host: string;
  /** TIDEMILL_METRICS_PORT; 0, the default, takes any free port. `off` opens none. */
  readonly port: number;
}

/** @throws TidemillError CONFIGURATION_INVALID */
export function monitoringAddressFrom(
  env: Readonly<Record<string, string | undefined>>,
  flag?: string,
): MonitoringAddress | null {
  const text = flag ?? env['TIDEMILL_METRICS_PORT'] ?? '';
  if (text === 'off') return null;
  const port = text === '' ? 0 : /^\d+$/.test(text) ? Number(text) : Number.NaN;
  if (!(port <= 65_535)) {
    throw new TidemillError(
      'CONFIGURATION_INVALID',
      `${flag === undefined ? 'TIDEMILL_METRICS_PORT' : '--metrics-port'} is ${JSON.stringify(text)}: neither a port nor off`,
      { variable: 'TIDEMILL_METRICS_PORT' },
    );
  }
  const host = env['TIDEMILL_METRICS_HOST'] ?? '';
  return { host: host === '' ? '127.0.0.1' : host, port };
}

/** Is a worker ready, and if not, why. What /health/ready answers, with 200 or 503. */
export interface Readiness {
  readonly ready: boolean;
  readonly reasons: readonly ReadinessReason[];
}

export interface ReadinessReason {
  readonly reason:
    | 'starting'
    | 'stopping'
    | 'not-assigned'
    | 'planning'
    | 'task-recovering'
    | 'task-stopped'
    | 'deployment-behind'
    | 'lease-lost'
    | 'worker-stopped'
    | 'upkeep-failing';
  /** For people. */
  readonly text: string;
}

/** What /status of a stream worker answers. */
export interface StreamWorkerStatus {
  readonly instance: string;
  readonly topologies: readonly {
    /** Consumer group, which names project, topology and generation. */
    readonly group: string;
    readonly tasks: readonly {
      readonly task: string;
      readonly state: string;
      readonly watermark: number | null;
      readonly restored: number;
      /** What an operator should know of its state. Workers of before have none. */
      readonly notes?: readonly string[];
      readonly inputs: readonly { readonly topic: string; readonly partition: number }[];
    }[];
  }[];
}
