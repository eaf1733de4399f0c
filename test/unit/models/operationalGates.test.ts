import { describe, expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { durationMs } from '../../../contracts/duration.js';
import { fraud } from '../../../examples/fraud/project.js';
import { agreement, errors, latency, marginOf, operationalGates, skew } from '../../../models/operationalGates.js';

function refusal(define: () => unknown): { path: unknown; message: string } {
  try {
    define();
  } catch (error) {
    if (isTidemillError(error, 'DEFINITION_INVALID')) return { path: error.details['path'], message: error.message };
    throw error;
  }
  throw new Error('nothing was refused');
}

describe('an operational gate', () => {
  test('bounds a share of requests', () => {
    const gates = [latency({ share: 0.99, under: '5ms' }), skew(0.01), errors(0.001), agreement({ decisions: 0.02 })];
    expect(gates).toEqual([
      { kind: 'latency', share: 0.99, underMicros: durationMs('5ms') * 1_000 },
      { kind: 'skew', margin: 0.01 },
      { kind: 'errors', margin: 0.001 },
      { kind: 'agreement', margin: 0.02 },
    ]);
    expect(gates.map(marginOf)).toEqual([0.01, 0.01, 0.001, 0.02]);
  });

  test.for([0, 1, -0.1, 1.5, Number.NaN])('refuses %d as a share and names the argument', (share) => {
    expect(refusal(() => latency({ share, under: '5ms' }))).toMatchObject({ path: 'latency.share' });
    expect(refusal(() => skew(share))).toMatchObject({ path: 'skew' });
    expect(refusal(() => errors(share))).toMatchObject({ path: 'errors' });
    expect(refusal(() => agreement({ decisions: share }))).toMatchObject({ path: 'agreement.decisions' });
    expect(refusal(() => skew(share)).message).toContain(String(share));
  });

  test('refuses a limit of no time, or of none that can be read', () => {
    expect(refusal(() => latency({ share: 0.99, under: '0ms' }))).toMatchObject({ path: 'latency.under' });
    expect(refusal(() => latency({ share: 0.99, under: 'soon' })).message).toContain('"soon"');
  });
});

describe('the guards of a model', () => {
  const path = 'fraud.gates.operational';
  test('always count its errors, with a margin of its own or of one in a thousand', () => {
    expect(operationalGates(path, [])).toEqual([errors(0.001)]);
    expect(operationalGates(path, [skew(0.01)])).toEqual([skew(0.01), errors(0.001)]);
    expect(operationalGates(path, [errors(0.02), skew(0.01)])).toEqual([errors(0.02), skew(0.01)]);
    expect(fraud.compiled.gates.operational).toContainEqual(errors(0.005));
  });
  test('are one of a kind', () => {
    expect(refusal(() => operationalGates(path, [skew(0.01), skew(0.02)]))).toMatchObject({
      path,
      message: `${path}: skew is declared twice`,
    });
  });
});
