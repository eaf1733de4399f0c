import { userInfo } from 'node:os';
import { TidemillClient } from '../client/tidemillClient.js';
import { TidemillError } from '../contracts/errors.js';
import { workerEnvironment } from './childProgram.js';

/** Which Temporal server and project a command talks to. */
export interface Connection {
  readonly address: string;
  readonly namespace: string;
  readonly project: string;
}

/**
 * The connection of the environment, completed by the local runtime.
 *
 * @throws TidemillError CONFIGURATION_INVALID where no project is named.
 */
export async function connectionOf(home: string, options: { readonly projectId?: string }): Promise<Connection> {
  const connection = await serverOf(home, options);
  if (connection.project !== '') return connection;
  throw new TidemillError(
    'CONFIGURATION_INVALID',
    'the project is not named: pass --project-id, or set TIDEMILL_PROJECT_ID',
    { variable: 'TIDEMILL_PROJECT_ID' },
  );
}

/** The same for commands that take whole workflow ids: they need no project. */
export async function serverOf(home: string, options: { readonly projectId?: string } = {}): Promise<Connection> {
  const env = await workerEnvironment(home, options);
  return {
    address: env['TIDEMILL_TEMPORAL'] ?? '127.0.0.1:7233',
    namespace: env['TIDEMILL_TEMPORAL_NAMESPACE'] ?? 'default',
    project: env['TIDEMILL_PROJECT_ID'] ?? '',
  };
}

/** Does something with a client, and closes it. */
export async function withClient<T>(connection: Connection, act: (client: TidemillClient) => Promise<T>): Promise<T> {
  const client = await TidemillClient.connect(connection);
  try {
    return await act(client);
  } finally {
    await client.close();
  }
}

/** The user of this machine. */
export function userName(): string {
  return userInfo().username;
}
