import { describe, expect, test } from 'vitest';
import { kafkaAccessFrom } from '../../../contracts/kafkaAccess.js';
import { monitoringAddressFrom } from '../../../contracts/monitoring.js';
import { poisonLimitFrom } from '../../../contracts/poisonLimit.js';

describe('access to Kafka', () => {
  test('is without TLS and password unless the environment says so', () => {
    expect(kafkaAccessFrom({})).toEqual({ clientId: null, tls: null, sasl: null });
    expect(kafkaAccessFrom({ TIDEMILL_KAFKA_CLIENT_ID: 'us' }).clientId).toBe('us');
    expect(kafkaAccessFrom({ TIDEMILL_KAFKA_TLS: 'false', TIDEMILL_KAFKA_SASL: '' }).tls).toBeNull();
  });

  test('takes TLS with the authorities of the system, or of a file, and a certificate of its own', () => {
    expect(kafkaAccessFrom({ TIDEMILL_KAFKA_TLS: 'true' }).tls).toEqual({
      caFile: null,
      certFile: null,
      keyFile: null,
    });
    expect(kafkaAccessFrom({ TIDEMILL_KAFKA_CA_FILE: '/ca' }).tls).toEqual({
      caFile: '/ca',
      certFile: null,
      keyFile: null,
    });
    const both = { TIDEMILL_KAFKA_CERT_FILE: '/cert', TIDEMILL_KAFKA_KEY_FILE: '/key' };
    expect(kafkaAccessFrom(both).tls).toEqual({ caFile: null, certFile: '/cert', keyFile: '/key' });
  });

  test('takes a password from a file or from the environment', () => {
    const user = { TIDEMILL_KAFKA_SASL: 'SCRAM-SHA-512', TIDEMILL_KAFKA_USERNAME: 'me' };
    expect(kafkaAccessFrom({ ...user, TIDEMILL_KAFKA_PASSWORD_FILE: '/pw' }).sasl).toEqual({
      mechanism: 'scram-sha-512',
      username: 'me',
      password: { file: '/pw' },
    });
    expect(kafkaAccessFrom({ ...user, TIDEMILL_KAFKA_PASSWORD: 's3cret' }).sasl?.password).toEqual({ text: 's3cret' });
  });

  const user = { TIDEMILL_KAFKA_SASL: 'plain', TIDEMILL_KAFKA_USERNAME: 'me', TIDEMILL_KAFKA_PASSWORD: 's3cret' };
  test.each([
    ['TIDEMILL_KAFKA_KEY_FILE', { TIDEMILL_KAFKA_CERT_FILE: '/cert' }],
    ['TIDEMILL_KAFKA_CERT_FILE', { TIDEMILL_KAFKA_KEY_FILE: '/key' }],
    ['TIDEMILL_KAFKA_TLS', { TIDEMILL_KAFKA_TLS: 'yes' }],
    ['TIDEMILL_KAFKA_TLS', { TIDEMILL_KAFKA_TLS: 'false', TIDEMILL_KAFKA_CA_FILE: '/ca' }],
    ['TIDEMILL_KAFKA_SASL', { ...user, TIDEMILL_KAFKA_SASL: 'gssapi' }],
    ['TIDEMILL_KAFKA_SASL', { ...user, TIDEMILL_KAFKA_SASL: '' }],
    ['TIDEMILL_KAFKA_USERNAME', { ...user, TIDEMILL_KAFKA_USERNAME: '' }],
    ['TIDEMILL_KAFKA_PASSWORD_FILE', { ...user, TIDEMILL_KAFKA_PASSWORD: '' }],
    ['TIDEMILL_KAFKA_PASSWORD', { ...user, TIDEMILL_KAFKA_PASSWORD_FILE: '/pw' }],
  ])('names %s where it is wrong, and no password', (variable, env: Record<string, string>) => {
    const refusal = (): unknown => kafkaAccessFrom(env);
    expect(refusal).toThrow(expect.objectContaining({ code: 'CONFIGURATION_INVALID', details: { variable } }));
    expect(refusal).not.toThrow(/s3cret/);
  });
});

describe('the port for metrics and health', () => {
  test('is any free one of this machine alone unless it is named, or off', () => {
    expect(monitoringAddressFrom({})).toEqual({ host: '127.0.0.1', port: 0 });
    expect(monitoringAddressFrom({ TIDEMILL_METRICS_PORT: '9464', TIDEMILL_METRICS_HOST: '0.0.0.0' })).toEqual({
      host: '0.0.0.0',
      port: 9_464,
    });
    expect(monitoringAddressFrom({ TIDEMILL_METRICS_PORT: '9464' }, '1')).toMatchObject({ port: 1 });
    expect(monitoringAddressFrom({ TIDEMILL_METRICS_PORT: '9464' }, 'off')).toBeNull();
  });

  test.each(['x', '-1', '65536', '1.5'])('is not %s', (text) => {
    expect(() => monitoringAddressFrom({ TIDEMILL_METRICS_PORT: text })).toThrow(/TIDEMILL_METRICS_PORT/);
    expect(() => monitoringAddressFrom({}, text)).toThrow(/--metrics-port/);
  });
});

test('the share of poison is 0 to 1', () => {
  expect(poisonLimitFrom({})).toEqual({});
  expect(poisonLimitFrom({ TIDEMILL_POISON_SHARE: '.25' })).toEqual({ share: 0.25 });
  expect(poisonLimitFrom({ TIDEMILL_POISON_SHARE: '1' })).toEqual({ share: 1 });
  for (const wrong of ['2', '-1', 'x', '1e3']) {
    expect(() => poisonLimitFrom({ TIDEMILL_POISON_SHARE: wrong })).toThrow(/TIDEMILL_POISON_SHARE/);
  }
});
