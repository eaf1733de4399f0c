import { describe, expect, test } from 'vitest';
import { exploreInterleavings, seededRandom } from 'tidemill/testing';
import { messyRides, ridesProject } from '../../support/rides.js';

describe('views over the requests that are keyed by another entity', () => {
  test.each([
    ['driver', 'arrival'],
    ['complaints', 'arrival'],
    ['zone', 'arrival'],
    ['driver', 'ordered'],
    ['complaints', 'ordered'],
    ['zone', 'ordered'],
  ] as const)(
    'of %s, answered %s: every vector is the interpreter’s within its cut, and a replay gives the same state, whatever goes wrong',
    async (inputs, answer) => {
      const seeds = 20;
      const { project } = ridesProject('rides', inputs, answer);
      const report = await exploreInterleavings(project, { seeds, inputs: messyRides(40), faults: 4 });
      expect(report.requests).toBeGreaterThan(seeds * 40);
      expect(report.vectors).toBe(report.predictions);
      for (const count of [report.duplicates, report.late, report.deadLetters]) expect(count).toBeGreaterThan(seeds);
      expect(report.tasks).toBeGreaterThanOrEqual(seeds * 4);
      expect(report.faults).toBeGreaterThan(seeds * 2);
    },
  );

  test('begin with the first request that is answered: a cut never names what they cannot have', async () => {
    const { project, refusal } = ridesProject('rides', 'zone', 'arrival');
    const history = messyRides(40)(seededRandom(7));
    const report = await exploreInterleavings(project, {
      seeds: 5,
      history,
      inputs: messyRides(40, 40),
      faults: 3,
      check: async (driver) => {
        const cuts = await driver.cuts(refusal);
        const begun = cuts.flatMap(({ requests }) => Object.values(requests?.['driver'] ?? {}).map(([from]) => from));
        expect(Math.min(...begun)).toBeGreaterThan(0);
        const notes = driver.tasks.flatMap(({ task }) => task.notes ?? []);
        for (const view of ['driver_rides', 'zone_rides'])
          expect(notes).toContainEqual(
            expect.stringMatching(new RegExp(`^${view} lacks requests of before 2026-01-02T`)),
          );
      },
    });
    expect(report.vectors).toBeGreaterThan(5 * 35);
  });
});
