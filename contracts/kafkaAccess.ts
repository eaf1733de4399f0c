import { TidemillError } from './errors.js';

/** How processes of a project reach its Kafka brokers, besides their addresses. Read from the environment once, at the edge. */
export interface KafkaAccess {
  /**
   * Client id of every connection, by which a broker's quotas may go; the name of the instance where it is not set.
   * TIDEMILL_KAFKA_CLIENT_ID.
   */
  readonly clientId: string | null;
  readonly tls: KafkaTls | null;
  readonly sasl: KafkaSasl | null;
}

/** Files are PEM. A certificate without its key, or the reverse, is refused. */
export interface KafkaTls {
  /** Authorities that may have signed the broker's certificate; the system's where null. TIDEMILL_KAFKA_CA_FILE. */
  readonly caFile: string | null;
  /** This client's certificate, where the broker wants one. TIDEMILL_KAFKA_CERT_FILE. */
  readonly certFile: string | null;
  /** TIDEMILL_KAFKA_KEY_FILE. */
  readonly keyFile: string | null;
}

export const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
export type SaslMechanism = (typeof SASL_MECHANISMS)[number];

export interface KafkaSasl {
  /** TIDEMILL_KAFKA_SASL. */
  readonly mechanism: SaslMechanism;
  /** TIDEMILL_KAFKA_USERNAME. */
  readonly username: string;
  /** TIDEMILL_KAFKA_PASSWORD_FILE, or TIDEMILL_KAFKA_PASSWORD. Never printed. */
  readonly password: { readonly file: string } | { readonly text: string };
}

type Environment = Readonly<Record<string, string | undefined>>;

/** @throws TidemillError CONFIGURATION_INVALID naming the variable; it never holds a password. */
export function kafkaAccessFrom(env: Environment): KafkaAccess {
  const clientId = setting(env, 'TIDEMILL_KAFKA_CLIENT_ID');
  return { clientId, tls: tlsFrom(env), sasl: saslFrom(env) };
}

function tlsFrom(env: Environment): KafkaTls | null {
  const caFile = setting(env, 'TIDEMILL_KAFKA_CA_FILE');
  const certFile = setting(env, 'TIDEMILL_KAFKA_CERT_FILE');
  const keyFile = setting(env, 'TIDEMILL_KAFKA_KEY_FILE');
  if ((certFile === null) !== (keyFile === null)) {
    throw invalid(
      certFile === null ? 'TIDEMILL_KAFKA_CERT_FILE' : 'TIDEMILL_KAFKA_KEY_FILE',
      'is not set: a certificate and its key go together',
    );
  }
  const wanted = setting(env, 'TIDEMILL_KAFKA_TLS');
  if (wanted !== null && wanted !== 'true' && wanted !== 'false')
    throw invalid('TIDEMILL_KAFKA_TLS', 'is neither true nor false');
  const isNamed = caFile !== null || certFile !== null;
  if (wanted === 'false' && isNamed) throw invalid('TIDEMILL_KAFKA_TLS', 'is false, but a file for TLS is named');
  return wanted === 'true' || isNamed ? { caFile, certFile, keyFile } : null;
}

function saslFrom(env: Environment): KafkaSasl | null {
  const name = setting(env, 'TIDEMILL_KAFKA_SASL');
  const username = setting(env, 'TIDEMILL_KAFKA_USERNAME');
  const text = setting(env, 'TIDEMILL_KAFKA_PASSWORD');
  const file = setting(env, 'TIDEMILL_KAFKA_PASSWORD_FILE');
  if (name === null) {
    if (username !== null || text !== null || file !== null)
      throw invalid(
        'TIDEMILL_KAFKA_SASL',
        `is not set: it says how the password is used (${SASL_MECHANISMS.join(', ')})`,
      );
    return null;
  }
  const mechanism = SASL_MECHANISMS.find((each) => each === name.toLowerCase());
  if (mechanism === undefined) throw invalid('TIDEMILL_KAFKA_SASL', `is none of ${SASL_MECHANISMS.join(', ')}`);
  if (username === null) throw invalid('TIDEMILL_KAFKA_USERNAME', 'is not set');
  if (file !== null && text !== null)
    throw invalid('TIDEMILL_KAFKA_PASSWORD', 'and TIDEMILL_KAFKA_PASSWORD_FILE are both set: one of them counts');
  if (file !== null) return { mechanism, username, password: { file } };
  if (text !== null) return { mechanism, username, password: { text } };
  throw invalid('TIDEMILL_KAFKA_PASSWORD_FILE', 'is not set');
}

function setting(env: Environment, name: string): string | null {
  const value = env[name] ?? '';
  return value === '' ? null : value;
}

function invalid(variable: string, problem: string): TidemillError {
  return new TidemillError('CONFIGURATION_INVALID', `the environment variable ${variable} ${problem}`, { variable });
}
