import { TidemillError } from './errors.js';
import { onlineAddressText, onlineStoreIn, parseOnlineAddress, type OnlineAddress } from './onlineAddress.js';
import { parseRegistryAddress, registryAddressText, registryIn, type RegistryAddress } from './registryAddress.js';

type Environment = Readonly<Record<string, string | undefined>>;

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
  /** Folder for objects, archive, task state and an embedded registry; `.tidemill` by default. TIDEMILL_HOME. */
  readonly home: string;
  /** `sqlite:PATH` or `postgres://…`; `registry.db` in the home by default. TIDEMILL_REGISTRY. */
  readonly registry: RegistryAddress;
  /** `host:port` or `redis://…`; the folder `online` in the home by default. TIDEMILL_REDIS. */
  readonly online: OnlineAddress;
}

/**
 * @throws TidemillError CONFIGURATION_INVALID naming the variable that is missing or wrong.
 */
export function configurationFrom(env: Environment): Configuration {
  return {
    ...registryConfigurationFrom(env),
    projectModule: required(env, 'TIDEMILL_PROJECT'),
    kafkaBrokers: required(env, 'TIDEMILL_KAFKA').split(','),
    ...temporalFrom(env),
  };
}

/**
 * What it takes to set up a project's definitions. The project id is that of its module where TIDEMILL_PROJECT_ID is not
 * set: null here.
 *
 * @throws TidemillError CONFIGURATION_INVALID naming the variable that is missing or wrong.
 */
export function projectConfigurationFrom(env: Environment): Pick<
  Configuration,
  'projectModule' | 'temporalAddress' | 'temporalNamespace'
> & {
  readonly project: string | null;
} {
  const project = env['TIDEMILL_PROJECT_ID'] ?? '';
  return {
    project: project === '' ? null : project,
    projectModule: required(env, 'TIDEMILL_PROJECT'),
    ...temporalFrom(env),
  };
}

function temporalFrom(env: Environment): Pick<Configuration, 'temporalAddress' | 'temporalNamespace'> {
  return {
    temporalAddress: env['TIDEMILL_TEMPORAL'] ?? '127.0.0.1:7233',
    temporalNamespace: env['TIDEMILL_TEMPORAL_NAMESPACE'] ?? 'default',
  };
}

/**
 * What it takes to read a project's stores.
 *
 * @throws TidemillError CONFIGURATION_INVALID naming the variable that is missing or wrong.
 */
export function registryConfigurationFrom(
  env: Environment,
): Pick<Configuration, 'project' | 'home' | 'registry' | 'online'> {
  const home = homeFrom(env);
  const registry = env['TIDEMILL_REGISTRY'] ?? '';
  const redis = env['TIDEMILL_REDIS'] ?? '';
  return {
    project: required(env, 'TIDEMILL_PROJECT_ID'),
    home,
    registry: registry === '' ? registryIn(home) : parseRegistryAddress(registry),
    online: redis === '' ? onlineStoreIn(home) : parseOnlineAddress(redis),
  };
}

function required(env: Environment, name: string): string {
  const value = env[name];
  if (value === undefined || value === '') {
    throw new TidemillError('CONFIGURATION_INVALID', `the environment variable ${name} is not set`, { variable: name });
  }
  return value;
}

/** Folder for objects, archive, task state and an embedded registry: TIDEMILL_HOME, `.tidemill` by default. */
export function homeFrom(env: Environment): string {
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
    TIDEMILL_REGISTRY: registryAddressText(configuration.registry),
    TIDEMILL_REDIS: onlineAddressText(configuration.online),
  };
}
