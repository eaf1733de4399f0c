import { expect, test } from 'vitest';
import { isTidemillError, messageOf } from '../../../contracts/errors.js';
import { fraud } from '../../../examples/fraud/project.js';
import { hashOf } from '../../../features/hash.js';
import { decodeService, encodeService } from '../../../features/storedService.js';

const { service } = fraud.compiled;

function problemOf(bytes: Uint8Array, hash = service.hash): string {
  try {
    decodeService(bytes, hash);
    return 'read';
  } catch (error) {
    return isTidemillError(error, 'SERVICE_UNREADABLE') ? error.message : `another error: ${messageOf(error)}`;
  }
}

test('a service reads back as it was stored', () => {
  expect(decodeService(encodeService(service), service.hash)).toEqual(service);
});

test('another service than the one that is asked for is refused', () => {
  const changed = Buffer.from(encodeService(service).toString('utf8').replace('"orElse"', '"instead"'));
  expect(problemOf(changed)).toMatch(/what is stored is service/);
  expect(problemOf(encodeService(service), 'f'.repeat(64))).toMatch(/what is stored is service/);
  expect(problemOf(Buffer.from('{'))).toMatch(/JSON/);
  expect(problemOf(Buffer.from('{"format":2}'))).toMatch(/format 2/);
});

test('what this build does not compute is named', () => {
  const text = encodeService(service).toString('utf8').replace('"aggregate":"mean"', '"aggregate":"median"');
  const { hash: _, ...definition } = (JSON.parse(text) as { service: typeof service }).service;
  const hash = hashOf(definition);
  const newer = Buffer.from(JSON.stringify({ format: 1, service: { ...definition, hash } }));
  expect(problemOf(newer, hash)).toMatch(/does not compute the aggregation median/);
});
