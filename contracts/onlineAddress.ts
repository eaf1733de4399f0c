import { TidemillError } from './errors.js';

/** Where the online store is: a Redis server, or a folder for the processes of one machine. */
export type OnlineAddress =
  /** `url` may hold a password: it is printed by way of `describeOnlineAddress` only. */
  { readonly kind: 'redis'; readonly url: string } | { readonly kind: 'lmdb'; readonly folder: string };

const VARIABLE = 'TIDEMILL_REDIS';
const DEFAULT_PORT = 6379;

/** The text that `parseOnlineAddress` reads: for the environment of a child process, never for people. */
export function onlineAddressText(address: OnlineAddress): string {
  return address.kind === 'redis' ? address.url : '';
}

/** The online store of a project that names no server: a folder in its home. */
export function onlineStoreIn(home: string): OnlineAddress {
  return { kind: 'lmdb', folder: `${home}/online` };
}

/**
 * Reads HOST:PORT, `redis://USER:PASSWORD@HOST:PORT/DATABASE` and the same with `rediss://`.
 *
 * @throws TidemillError CONFIGURATION_INVALID; what is wrong is said without the text, which may hold a password.
 */
export function parseOnlineAddress(text: string): OnlineAddress {
  const url = /^rediss?:\/\//.test(text) ? text : `redis://${text}`;
  if (!URL.canParse(url) || new URL(url).hostname === '' || !/^(\/\d*)?$/.test(new URL(url).pathname)) {
    throw new TidemillError('CONFIGURATION_INVALID', `${VARIABLE} is neither HOST:PORT nor redis://…`, {
      variable: VARIABLE,
    });
  }
  return { kind: 'redis', url };
}

/** The address for messages and logs: without user, password and parameters. */
export function describeOnlineAddress(address: OnlineAddress): string {
  if (address.kind === 'lmdb') return address.folder;
  const { hostname, port } = new URL(address.url);
  return `${hostname}:${port === '' ? DEFAULT_PORT : port}`;
}
