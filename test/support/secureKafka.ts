import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { startKafka } from '../../infra/kafka.js';
import { freePort } from '../../infra/ports.js';

const run = promisify(execFile);
const STORE_PASSWORD = 'changeit-store';

export interface SecureKafka {
  /** HOST:PORT of the listener that wants TLS and a password. */
  readonly broker: string;
  /** HOST:PORT of the listener that wants a client's certificate. */
  readonly mutualBroker: string;
  /** The one that trusts everybody. */
  readonly openBroker: string;
  /** Certificate that signs the broker's. */
  readonly caFile: string;
  /** An authority that has signed nothing here. */
  readonly foreignCaFile: string;
  readonly passwordFile: string;
  /** May do everything. */
  readonly user: string;
  readonly password: string;
  /** A user without any rights, with the same password. */
  readonly guest: string;
  readonly directory: string;
  stop(): Promise<void>;
}

/** A broker with certificates, users and access rules of its own. */
export async function startSecureKafka(): Promise<SecureKafka> {
  const directory = await mkdtemp(join(tmpdir(), 'tidemill-secure-kafka-'));
  const [user, guest, password] = ['worker', 'guest', 'pw with $igns: %&!'];
  const keyStore = await createKeyStore(directory, 'broker', 'san=ip:127.0.0.1');
  const caFile = await exportCertificate(directory, 'broker');
  await createKeyStore(directory, 'foreign', 'san=ip:127.0.0.1');
  const foreignCaFile = await exportCertificate(directory, 'foreign');
  await createKeyStore(directory, 'client', 'san=dns:client');
  const clientCertificate = await exportCertificate(directory, 'client');
  const passwordFile = join(directory, 'password');
  await writeFile(passwordFile, `${password}\n`);

  const [port, mutualPort] = [await freePort(), await freePort()];
  const plain = 'org.apache.kafka.common.security.plain.PlainLoginModule required';
  const scram = 'org.apache.kafka.common.security.scram.ScramLoginModule required;';
  const ssl = (name: string): Record<string, string> => ({
    [`listener.name.${name}.ssl.keystore.type`]: 'PKCS12',
    [`listener.name.${name}.ssl.keystore.location`]: keyStore,
    [`listener.name.${name}.ssl.keystore.password`]: STORE_PASSWORD,
    [`listener.name.${name}.ssl.key.password`]: STORE_PASSWORD,
  });
  const kafka = await startKafka({
    directory: join(directory, 'kafka'),
    memoryMb: 384,
    listeners: [
      { name: 'SECURE', protocol: 'SASL_SSL', port },
      { name: 'MUTUAL', protocol: 'SSL', port: mutualPort },
    ],
    settings: {
      ...ssl('secure'),
      ...ssl('mutual'),
      'sasl.enabled.mechanisms': 'PLAIN,SCRAM-SHA-256,SCRAM-SHA-512',
      'listener.name.secure.plain.sasl.jaas.config': `${plain} user_${user}="${password}";`,
      'listener.name.secure.scram-sha-256.sasl.jaas.config': scram,
      'listener.name.secure.scram-sha-512.sasl.jaas.config': scram,
      'listener.name.mutual.ssl.client.auth': 'required',
      'listener.name.mutual.ssl.truststore.type': 'PEM',
      'listener.name.mutual.ssl.truststore.location': clientCertificate,
      'authorizer.class.name': 'org.apache.kafka.metadata.authorizer.StandardAuthorizer',
      'super.users': `User:ANONYMOUS;User:${user};User:CN=client`,
    },
    formatArguments: ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) =>
      [user, guest].flatMap((name) => ['--add-scram', `${mechanism}=[name=${name},password="${password}"]`]),
    ),
  });
  return {
    broker: `127.0.0.1:${port}`,
    mutualBroker: `127.0.0.1:${mutualPort}`,
    openBroker: kafka.broker,
    caFile,
    foreignCaFile,
    passwordFile,
    user,
    password,
    guest,
    directory,
    stop: async () => {
      await kafka.stop();
      await rm(directory, { recursive: true });
    },
  };
}

/** Writes the key that belongs to the client's certificate as PEM; null where there is no openssl to do it. */
export async function clientKeyFile({ directory }: SecureKafka): Promise<{ cert: string; key: string } | null> {
  const [cert, key] = [join(directory, 'client.pem'), join(directory, 'client.key')];
  const args = ['pkcs12', '-in', join(directory, 'client.p12'), '-nocerts', '-nodes', '-out', key];
  return run('openssl', [...args, '-passin', `pass:${STORE_PASSWORD}`]).then(
    () => ({ cert, key }),
    () => null,
  );
}

async function createKeyStore(directory: string, name: string, extension: string): Promise<string> {
  const file = join(directory, `${name}.p12`);
  const what = ['-alias', name, '-dname', `CN=${name}`, '-keyalg', 'RSA', '-validity', '30', '-ext', extension];
  await run('keytool', [
    '-genkeypair',
    '-keystore',
    file,
    '-storetype',
    'PKCS12',
    '-storepass',
    STORE_PASSWORD,
    ...what,
  ]);
  return file;
}

async function exportCertificate(directory: string, name: string): Promise<string> {
  const file = join(directory, `${name}.pem`);
  const store = ['-keystore', join(directory, `${name}.p12`), '-storepass', STORE_PASSWORD];
  await run('keytool', ['-exportcert', '-rfc', '-alias', name, '-file', file, ...store]);
  return file;
}
