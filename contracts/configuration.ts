import { TidemillError } from './errors.js';

/** Where one process finds everything. Read from the environment once, at the edge. */
export interface Configuration {
  /** Project id; scopes every topic, group, workflow id and registry row. TIDEMILL_PROJECT_ID. */
  readonly project: string;
  /** Path of the project module (compiled JavaScript). TIDEMILL_PROJECT. */
  readonly projectModule: string;
  /** host:port list. TIDEMILL_KAFKA. */
  readonly kafkaBrokers: readonly string[];
  /** host:port of the Temporal frontend. TIDEMILL_TEMPORAL. */
  readonly temporalAddress: string;
  /** TIDEMILL_TEMPORAL_NAMESPACE, `default` by default. */
  readonly temporalNamespace: string;
  /** Folder for the registry, objects, archive and task state; `.tidemill` by default. TIDEMILL_HOME. */
  readonly home: string;
}

/**
 * @throws TidemillError CONFIGURATION_INVALID naming the variable that is missing.
 */
export function configurationFrom(env: Readonly<Record<string, string | undefined>>): Configuration {
  const required = (name: string): string => {
    const value = env[name];
    if (value === undefined || value === '') {
      throw new TidemillError('CONFIGURATION_INVALID', `the environment variable ${name} is not set`, {
        variable: name,
      });
    }
    return value;
  };
  return {
    project: required('TIDEMILL_PROJECT_ID'),
    projectModule: required('TIDEMILL_PROJECT'),
    kafkaBrokers: required('TIDEMILL_KAFKA').split(','),
    temporalAddress: env['TIDEMILL_TEMPORAL'] ?? '127.0.0.1:7233',
    temporalNamespace: env['TIDEMILL_TEMPORAL_NAMESPACE'] ?? 'default',
    home: homeFrom(env),
  };
}

/** Folder for the registry, objects, archive and task state: TIDEMILL_HOME, `.tidemill` by default. */
export function homeFrom(env: Readonly<Record<string, string | undefined>>): string {
  return env['TIDEMILL_HOME'] ?? '.tidemill';
}

/** The environment that hands a configuration to a child process. */
export function environmentOf(configuration: Configuration): Record<string, string> {
  return {
    TIDEMILL_PROJECT_ID: configuration.project,
    TIDEMILL_PROJECT: configuration.projectModule,
    TIDEMILL_KAFKA: configuration.kafkaBrokers.join(','),
    TIDEMILL_TEMPORAL: configuration.temporalAddress,
    TIDEMILL_TEMPORAL_NAMESPACE: configuration.temporalNamespace,
    TIDEMILL_HOME: configuration.home,
  };
}
