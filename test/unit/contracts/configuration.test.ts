import { expect, test } from 'vitest';
import { configurationFrom, environmentOf } from '../../../contracts/configuration.js';
import { describeOnlineAddress } from '../../../contracts/onlineAddress.js';

const env = {
  TIDEMILL_PROJECT_ID: 'p',
  TIDEMILL_PROJECT: '/x/project.js',
  TIDEMILL_KAFKA: 'a:1,b:2',
  TIDEMILL_HOME: '/h',
};

test('a configuration survives the way through the environment of a child process', () => {
  const configuration = configurationFrom(env);
  expect(configuration.kafkaBrokers).toEqual(['a:1', 'b:2']);
  expect(configurationFrom(environmentOf(configuration))).toEqual(configuration);
});

test('the registry is a file in the home unless it is named', () => {
  expect(configurationFrom(env).registry).toEqual({ kind: 'sqlite', file: '/h/registry.db' });
  expect(configurationFrom({ ...env, TIDEMILL_REGISTRY: '' }).registry).toEqual({
    kind: 'sqlite',
    file: '/h/registry.db',
  });
  const configuration = configurationFrom({ ...env, TIDEMILL_REGISTRY: 'postgres://me:p%40ss@db/tidemill' });
  expect(configuration.registry.kind).toBe('postgres');
  expect(configurationFrom(environmentOf(configuration))).toEqual(configuration);
});

test.each(['TIDEMILL_PROJECT_ID', 'TIDEMILL_PROJECT', 'TIDEMILL_KAFKA'])(
  'without %s the error names it',
  (variable) => {
    expect(() => configurationFrom({ ...env, [variable]: undefined })).toThrow(
      expect.objectContaining({ code: 'CONFIGURATION_INVALID', details: { variable } }),
    );
  },
);

test('the online store is the server that is named, or a folder in the home; a password is not told', () => {
  expect(configurationFrom(env).online).toEqual({ kind: 'lmdb', folder: '/h/online' });
  expect(configurationFrom({ ...env, TIDEMILL_REDIS: 'cache:6380' }).online).toEqual({
    kind: 'redis',
    url: 'redis://cache:6380',
  });
  const configuration = configurationFrom({ ...env, TIDEMILL_REDIS: 'rediss://me:s3cret@cache/2' });
  expect(describeOnlineAddress(configuration.online)).toBe('cache:6379');
  expect(configurationFrom(environmentOf(configuration))).toEqual(configuration);
  for (const wrong of ['http://cache', 'redis://', 'redis://me:s3cret@cache/x', 'a b:1']) {
    const refusal = (): unknown => configurationFrom({ ...env, TIDEMILL_REDIS: wrong });
    expect(refusal, wrong).toThrow(expect.objectContaining({ code: 'CONFIGURATION_INVALID' }));
    expect(refusal, wrong).not.toThrow(/s3cret/);
  }
});
