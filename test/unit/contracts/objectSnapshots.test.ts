import { expect, test } from 'vitest';
import { isTidemillError } from '../../../contracts/errors.js';
import { objectSnapshotsFrom } from '../../../contracts/objectSnapshots.js';

test('copies of snapshots are stored as often as the environment says, or not at all', () => {
  expect(objectSnapshotsFrom({})).toEqual({});
  expect(objectSnapshotsFrom({ TIDEMILL_OBJECT_SNAPSHOTS: '90s' })).toEqual({ intervalMs: 90_000 });
  expect(objectSnapshotsFrom({ TIDEMILL_OBJECT_SNAPSHOTS: 'off' })).toBeNull();
});

test('a setting that is neither a duration nor off is refused by its name', () => {
  try {
    objectSnapshotsFrom({ TIDEMILL_OBJECT_SNAPSHOTS: 'never' });
    expect.unreachable();
  } catch (error) {
    expect(isTidemillError(error, 'CONFIGURATION_INVALID') && error.details).toEqual({
      variable: 'TIDEMILL_OBJECT_SNAPSHOTS',
    });
  }
});
