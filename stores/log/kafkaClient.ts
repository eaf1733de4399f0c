import type { Broker, Cluster, Kafka as Client, logCreator } from 'kafkajs';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { KafkaSecurity } from './kafkaSecurity.js';
import { Kafka, logLevel } from './kafkajs/kafkajs.js';
import { watchedSockets } from './watchedSocket.js';

/** Connection options of one process. */
export interface KafkaOptions {
  readonly brokers: readonly string[];
  readonly clientId: string;
  /** TLS and SASL. @default neither */
  readonly security?: KafkaSecurity;
  /** Warnings and errors of the client library that are not part of normal operation. @default silent */
  readonly onClientLog?: (level: 'warn' | 'error', text: string) => void;
}

/**
 * Options that were found to work: `maxInFlightRequests: 1` keeps order under retries, and short first retries matter
 * since the broker answers CONCURRENT_TRANSACTIONS while markers are being written.
 */
export const RETRY = { initialRetryTime: 20, retries: 15, maxRetryTime: 1_000 } as const;

/** Logged at ERROR by the client library although they are retried and part of normal operation. */
const EXPECTED =
  /CONCURRENT_TRANSACTIONS|REBALANCE_IN_PROGRESS|NOT_COORDINATOR|GROUP_COORDINATOR_NOT_AVAILABLE|rebalancing|COORDINATOR_LOAD|Limiting retries for the idempotent/i;

export function createKafka({ brokers, clientId, security, onClientLog }: KafkaOptions): Client {
  const creator: logCreator =
    () =>
    ({ level, log }) => {
      if (level !== logLevel.ERROR && level !== logLevel.WARN) return;
      const text = `${log.message} ${typeof log['error'] === 'string' ? log['error'] : ''}`;
      if (!EXPECTED.test(text)) onClientLog?.(level === logLevel.ERROR ? 'error' : 'warn', text.trim());
    };
  return new Kafka({
    brokers: [...brokers],
    clientId,
    ...security,
    retry: RETRY,
    connectionTimeout: 3_000,
    requestTimeout: 30_000,
    socketFactory: watchedSockets(),
    logLevel: logLevel.WARN,
    logCreator: creator,
  });
}

/** The protocol type of an error of the client library, `INVALID_PRODUCER_EPOCH` for one; else its name. */
export function protocolType(error: unknown): string {
  const { type, cause, name } = error as { type?: string; cause?: { type?: string }; name?: string };
  return type ?? cause?.type ?? name ?? '';
}

/** What TLS says where the broker's certificate is not to be trusted, or no TLS is spoken at the other end. */
const TLS_PROBLEM =
  /self[- ]signed certificate|unable to (verify|get) .*certificate|certificate has expired|certificate is not yet valid|altnames|wrong version number|packet length too long|SSL routines|tlsv1 alert/i;

/** Turns errors of the client library into coded ones: refused, fenced, or unreachable; anything else stays itself. */
export function codedError(error: unknown, what: string): unknown {
  if (error instanceof TidemillError) return error;
  // What ends a consumer comes out of the library wrapped.
  const { cause } = error as { cause?: unknown };
  if (cause instanceof TidemillError) return cause;
  // Of several topics each has its own error.
  const type = protocolType((error as { errors?: readonly unknown[] }).errors?.[0] ?? error);
  if (['INVALID_PRODUCER_EPOCH', 'PRODUCER_FENCED', 'INVALID_PRODUCER_ID_MAPPING'].includes(type)) {
    return new TidemillError('PRODUCER_FENCED', `${what}: a successor took over (${type})`, { what }, { cause: error });
  }
  const text = messageOf(error);
  if (/SASL/i.test(type)) {
    return new TidemillError('LOG_AUTHENTICATION_FAILED', `${what}: ${text}`, { what }, { cause: error });
  }
  if (TLS_PROBLEM.test(text))
    return new TidemillError('LOG_TLS_FAILED', `${what}: ${text}`, { what }, { cause: error });
  if (/_AUTHORIZATION_FAILED$/.test(type)) {
    return new TidemillError('LOG_NOT_ALLOWED', `${what}: ${type}`, { what, type }, { cause: error });
  }
  if (
    /ConnectionError|ConnectionClosed|NumberOfRetriesExceeded|BrokerNotFound|GroupCoordinatorNotFound/.test(type) ||
    /ECONNREFUSED|Connection (error|timeout)|Closed connection/.test(text)
  ) {
    return new TidemillError('LOG_UNAVAILABLE', `${what}: ${text}`, { what }, { cause: error });
  }
  return error;
}

/**
 * Is this an answer of a broker that is still getting ready? Without a leader the client stumbles over its own empty
 * answer: it cannot destructure it.
 */
export function isPassing(error: unknown): boolean {
  return /destructure|NOT_LEADER|UNKNOWN_TOPIC_OR_PARTITION|LEADER_NOT_AVAILABLE|LOAD_IN_PROGRESS|COORDINATOR/.test(
    `${protocolType(error)} ${messageOf(error)}`,
  );
}

interface GroupCoordinator extends Broker {
  leaveGroup(request: { groupId: string; memberId: string }): Promise<unknown>;
}

interface PrivateCluster extends Cluster {
  findGroupCoordinator(request: { groupId: string }): Promise<GroupCoordinator>;
}

/**
 * Leaves a group for a member that died: a restart then need not wait for its session to expire. The client library has
 * no public way; where the private one is gone the session timeout does it.
 */
export async function leaveForDeadMember(kafka: Client, groupId: string, memberId: string): Promise<void> {
  const symbol = Object.getOwnPropertySymbols(kafka).find(
    ({ description }) => description === 'private:Kafka:createCluster',
  );
  if (symbol === undefined) return;
  const create = (kafka as unknown as Record<symbol, (options: object) => PrivateCluster>)[symbol];
  const cluster = create?.call(kafka, { allowAutoTopicCreation: false, maxInFlightRequests: null });
  if (cluster === undefined) return;
  try {
    await cluster.connect();
    await (await cluster.findGroupCoordinator({ groupId })).leaveGroup({ groupId, memberId });
  } catch (error) {
    // Its session has expired already, or the group is new: nothing to leave.
    if (!/UNKNOWN_MEMBER_ID|GROUP_ID_NOT_FOUND|COORDINATOR/.test(protocolType(error))) throw codedError(error, groupId);
  } finally {
    await cluster.disconnect();
  }
}
