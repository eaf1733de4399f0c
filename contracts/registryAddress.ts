import { TidemillError } from './errors.js';

/** Where the registry is: a file for the processes of one machine, or a PostgreSQL database for a cluster. */
export type RegistryAddress =
  | { readonly kind: 'sqlite'; readonly file: string }
  /** `url` may hold a password: it is printed by way of `describeRegistryAddress` only. */
  | { readonly kind: 'postgres'; readonly url: string };

const VARIABLE = 'TIDEMILL_REGISTRY';

/** The registry of a project that names none: a file in its folder. */
export function registryIn(home: string): RegistryAddress {
  return { kind: 'sqlite', file: `${home}/registry.db` };
}

/**
 * Reads `sqlite:PATH` and `postgres://USER:PASSWORD@HOST:PORT/DATABASE`.
 *
 * @throws TidemillError CONFIGURATION_INVALID; what is wrong is said without the text, which may hold a password.
 */
export function parseRegistryAddress(text: string): RegistryAddress {
  if (text.startsWith('sqlite:')) {
    const file = text.slice('sqlite:'.length).replace(/^\/\//, '');
    if (file === '') throw invalid('names no file');
    if (file === ':memory:') throw invalid('must be a file: the processes of a project share their registry');
    return { kind: 'sqlite', file };
  }
  if (!/^postgres(ql)?:\/\//.test(text)) throw invalid('is neither sqlite:PATH nor postgres://…');
  if (!URL.canParse(text)) throw invalid('is not a URL; is there a character in the password to be percent-encoded?');
  const { pathname, hash } = new URL(text);
  if (hash !== '') throw invalid('has a #, which in a password is written %23');
  if (!/^\/[^/]+$/.test(pathname)) throw invalid('names no database: postgres://USER@HOST/DATABASE');
  return { kind: 'postgres', url: text };
}

/** The text that `parseRegistryAddress` reads: for the environment of a child process, never for people. */
export function registryAddressText(address: RegistryAddress): string {
  return address.kind === 'sqlite' ? `sqlite:${address.file}` : address.url;
}

/** The address for messages and logs: without password and parameters. */
export function describeRegistryAddress(address: RegistryAddress): string {
  if (address.kind === 'sqlite') return address.file;
  const { username, host, pathname } = new URL(address.url);
  return `postgres://${username === '' ? '' : `${username}@`}${host}${pathname}`;
}

function invalid(problem: string): TidemillError {
  return new TidemillError('CONFIGURATION_INVALID', `the registry's address in ${VARIABLE} ${problem}`, {
    variable: VARIABLE,
  });
}
