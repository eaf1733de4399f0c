import { readFile } from 'node:fs/promises';
import type { KafkaConfig } from 'kafkajs';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import type { KafkaAccess, KafkaSasl, KafkaTls } from '../../contracts/kafkaAccess.js';

/** Certificates and credentials as the client library takes them. */
export type KafkaSecurity = Pick<KafkaConfig, 'ssl' | 'sasl'>;

/**
 * Reads the files that an access names, once: a process takes a rotated certificate or password up when it starts again.
 *
 * @throws TidemillError CONFIGURATION_INVALID naming the variable of a file that cannot be read.
 */
export async function readKafkaSecurity({ tls, sasl }: Pick<KafkaAccess, 'tls' | 'sasl'>): Promise<KafkaSecurity> {
  return {
    ...(tls === null ? {} : { ssl: await readTls(tls) }),
    ...(sasl === null ? {} : { sasl: await readSasl(sasl) }),
  };
}

async function readTls({ caFile, certFile, keyFile }: KafkaTls): Promise<NonNullable<KafkaSecurity['ssl']>> {
  const ca = await readSetting('TIDEMILL_KAFKA_CA_FILE', caFile);
  const cert = await readSetting('TIDEMILL_KAFKA_CERT_FILE', certFile);
  const key = await readSetting('TIDEMILL_KAFKA_KEY_FILE', keyFile);
  return {
    rejectUnauthorized: true,
    ...(ca === null ? {} : { ca: [ca] }),
    ...(cert === null || key === null ? {} : { cert, key }),
  };
}

async function readSasl({ mechanism, username, password }: KafkaSasl): Promise<NonNullable<KafkaSecurity['sasl']>> {
  const text =
    'text' in password
      ? password.text
      : // An editor ends the file with a line feed that is no part of it.
        ((await readSetting('TIDEMILL_KAFKA_PASSWORD_FILE', password.file)) ?? '').replace(/\r?\n$/, '');
  // The client library has a type for each mechanism.
  switch (mechanism) {
    case 'plain':
      return { mechanism, username, password: text };
    case 'scram-sha-256':
      return { mechanism, username, password: text };
    case 'scram-sha-512':
      return { mechanism, username, password: text };
  }
}

async function readSetting(variable: string, file: string | null): Promise<string | null> {
  if (file === null) return null;
  try {
    return await readFile(file, 'utf8');
  } catch (error) {
    throw new TidemillError(
      'CONFIGURATION_INVALID',
      `the file that ${variable} names cannot be read: ${messageOf(error)}`,
      { variable, file },
      { cause: error },
    );
  }
}
