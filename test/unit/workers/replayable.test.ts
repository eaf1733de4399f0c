import { expect, test } from 'vitest';
import { replayableName } from '../../../workers/replayable.js';
import { TOPOLOGY_NAMES, topologyNames } from '../../../workers/topologies.js';

test.each(['score', 'window.spend-per-customer'])('%s is replayed', (name) => {
  expect(replayableName(topologyNames(name))).toBe(name);
});

test.each([
  ['materialize', 'tidemill features rebuild VIEW'],
  ['outcome', 'tidemill stream reset outcome --to earliest'],
  ['monitor', 'tidemill stream reset monitor --to earliest'],
  ['archive', 'copies of the log'],
  ['relay', 'have been acted upon'],
])('%s is not, and what to do instead is said', (name, instead) => {
  expect(() => replayableName(topologyNames(name))).toThrow(
    expect.objectContaining({ code: 'REPLAY_UNSUPPORTED', message: expect.stringContaining(instead) as string }),
  );
});

test('every topology is one or the other', () => {
  const refused = TOPOLOGY_NAMES.filter((name) => {
    try {
      return replayableName([name]) !== name;
    } catch {
      return true;
    }
  });
  expect(refused).toEqual(TOPOLOGY_NAMES.filter((name) => name !== 'score'));
});

test('two at once are refused', () => {
  expect(() => replayableName(['score', 'window.a'])).toThrow(expect.objectContaining({ code: 'USAGE_INVALID' }));
});
