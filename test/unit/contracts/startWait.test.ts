import { expect, test } from 'vitest';
import { startWaitFrom } from '../../../contracts/startWait.js';

test.each([
  [{}, 60_000],
  [{ TIDEMILL_START_WAIT: '' }, 60_000],
  [{ TIDEMILL_START_WAIT: '5m' }, 300_000],
  [{ TIDEMILL_START_WAIT: 'off' }, 0],
])('%o is a wait of %d ms', (env, ms) => {
  expect(startWaitFrom(env)).toBe(ms);
});

test.each(['soon', '-1s', '60'])('%s is refused, by the name of the variable', (text) => {
  expect(() => startWaitFrom({ TIDEMILL_START_WAIT: text })).toThrow(
    expect.objectContaining({ code: 'CONFIGURATION_INVALID', details: { variable: 'TIDEMILL_START_WAIT' } }),
  );
});
