import { expect, test } from 'vitest';
import { configurationFrom, environmentOf } from '../../../contracts/configuration.js';

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
