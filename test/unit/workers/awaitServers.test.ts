import { expect, test } from 'vitest';
import type { ErrorCode } from '../../../contracts/errorCodes.js';
import { TidemillError, type ErrorDetails } from '../../../contracts/errors.js';
import { createReachServer, type ReachServer } from '../../../workers/awaitServers.js';

/** A server that answers from the `from`-th question on, and until then with `code`. */
function server(
  code: ErrorCode,
  from: number,
  details: ErrorDetails = {},
): { readonly ask: () => Promise<string>; readonly asked: () => number } {
  let asked = 0;
  return {
    ask: () =>
      ++asked < from
        ? Promise.reject(new TidemillError(code, 'nobody answers', details))
        : Promise.resolve('an answer'),
    asked: () => asked,
  };
}

/** @param stepMs by which time goes on with each look at the clock. */
function reaching(waitMs: number, stepMs = 100): { readonly reach: ReachServer; readonly told: [string, number][] } {
  const told: [string, number][] = [];
  let nowMs = 0;
  const reach = createReachServer({
    waitMs,
    retryMs: 1,
    now: () => (nowMs += stepMs),
    onWaiting: ({ server: name, leftMs }) => told.push([name, leftMs]),
  });
  return { reach, told };
}

test.each(['LOG_UNAVAILABLE', 'REGISTRY_UNAVAILABLE', 'ONLINE_UNAVAILABLE', 'TEMPORAL_UNAVAILABLE'] as const)(
  'a server that does not answer yet (%s) is asked again, and that is told',
  async (code) => {
    const { reach, told } = reaching(60_000);
    const { ask, asked } = server(code, 4);
    expect(await reach('Kafka', ask)).toBe('an answer');
    expect(asked()).toBe(4);
    expect(told).toEqual([['Kafka', 59_900]]);
  },
);

test('it is told every five seconds, not with each question', async () => {
  const { reach, told } = reaching(60_000, 1_000);
  await reach('Kafka', server('LOG_UNAVAILABLE', 10).ask);
  expect(told.length).toBeGreaterThan(1);
  expect(told.length).toBeLessThan(9);
});

test('all servers together are waited for no longer than the bound', async () => {
  const { reach } = reaching(2_000);
  await reach('Kafka', server('LOG_UNAVAILABLE', 5).ask);
  const { ask, asked } = server('REGISTRY_UNAVAILABLE', 1_000);
  await expect(reach('registry', ask)).rejects.toMatchObject({ code: 'REGISTRY_UNAVAILABLE' });
  expect(asked()).toBeGreaterThan(1);
  expect(asked()).toBeLessThan(20);
});

test('without a wait the first failure ends it', async () => {
  const { reach, told } = reaching(0);
  const { ask, asked } = server('LOG_UNAVAILABLE', 2);
  await expect(reach('Kafka', ask)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  expect([asked(), told]).toEqual([1, []]);
});

test.each([
  ['LOG_AUTHENTICATION_FAILED', {}],
  ['REGISTRY_INCOMPATIBLE', {}],
  ['REGISTRY_UNAVAILABLE', { problem: 'refused' }],
] as const)('a server that refuses (%s %o) is not asked again', async (code, details) => {
  const { reach } = reaching(60_000);
  const { ask, asked } = server(code, 2, details);
  await expect(reach('a server', ask)).rejects.toMatchObject({ code });
  expect(asked()).toBe(1);
});
