import { expect, test } from 'vitest';
import {
  describeRegistryAddress,
  parseRegistryAddress,
  registryAddressText,
} from '../../../contracts/registryAddress.js';

test.each([
  ['sqlite:/var/tidemill/registry.db', '/var/tidemill/registry.db'],
  ['sqlite:///var/tidemill/registry.db', '/var/tidemill/registry.db'],
  ['sqlite:data/registry.db', 'data/registry.db'],
  ['postgres://me:p%40ss@db.example:5433/tidemill?sslmode=verify-full', 'postgres://me@db.example:5433/tidemill'],
  ['postgresql://db.example/tidemill?password=p%40ss', 'postgres://db.example/tidemill'],
  ['postgres:///tidemill?host=/var/run/postgresql', 'postgres:///tidemill'],
])('%s is told to people as %s', (text, description) => {
  const address = parseRegistryAddress(text);
  expect(describeRegistryAddress(address)).toBe(description);
  expect(parseRegistryAddress(registryAddressText(address))).toEqual(address);
});

test.each([
  ['', /is neither sqlite:PATH nor postgres/],
  ['/var/tidemill/registry.db', /is neither sqlite:PATH nor postgres/],
  ['mysql://me:s3cret@db/tidemill', /is neither sqlite:PATH nor postgres/],
  ['sqlite:', /names no file/],
  ['sqlite::memory:', /must be a file/],
  ['postgres://me:s3cret@db', /names no database/],
  ['postgres://me:s3cret@db/', /names no database/],
  ['postgres://me:s3cret@db:port/tidemill', /is not a URL/],
  ['postgres://me:s3cret#1@db/tidemill', /is not a URL|has a #/],
])('%s is refused by what is wrong with it, and not repeated', (text, problem) => {
  expect(() => parseRegistryAddress(text)).toThrow(
    expect.objectContaining({
      code: 'CONFIGURATION_INVALID',
      message: expect.stringMatching(problem) as string,
      details: { variable: 'TIDEMILL_REGISTRY' },
    }),
  );
  expect(() => parseRegistryAddress(text)).not.toThrow(/s3cret/);
});
