import { expect, test } from 'vitest';
import { verifyRoles } from '../../../activities/audit/verifyRoles.js';
import type { DeploymentRecord, OtherScore, PredictionRecord } from '../../../contracts/records.js';
import { armOf } from '../../../scoring/split.js';
import { predictionOf } from '../../support/predictions.js';

const canary: DeploymentRecord = {
  model: 'fraud',
  epoch: 2,
  mode: 'canary',
  champion: 1,
  challenger: 2,
  share: 0.5,
  salt: 'fraud/1',
  prepare: null,
};
const single: DeploymentRecord = { ...canary, epoch: 1, mode: 'single', challenger: null };
const after: DeploymentRecord = { ...single, epoch: 3, standIn: null };
const deployments = new Map([single, canary, after].map((each) => [each.epoch, each]));

const customers = Array.from({ length: 50 }, (_, at) => at);
const inside = customers.find((each) => armOf(canary, String(each)) === 'challenger') as number;
const outside = customers.find((each) => armOf(canary, String(each)) === 'champion') as number;
const other = (version: number, role: OtherScore['role'], score: number | null = 0.5): OtherScore => ({
  version,
  role,
  score,
  decision: score === null ? null : 'allow',
  micros: 1,
  problem: score === null ? 'broken' : null,
});
const challenger: Partial<PredictionRecord> = {
  epoch: 2,
  entity: inside,
  arm: 'challenger',
  role: 'challenger',
  version: 2,
  others: [other(1, 'champion')],
};
const champion: Partial<PredictionRecord> = { epoch: 2, entity: outside, others: [other(2, 'challenger')] };

test('predictions that agree with their deployment are counted by who served, and by pairs', () => {
  const audit = verifyRoles(
    [
      predictionOf({ epoch: 0, role: 'fallback', version: 0 }),
      predictionOf({}),
      predictionOf(challenger),
      predictionOf(champion),
      // Stand-ins: the champion in the challenger's arm, the one before it for the champion.
      predictionOf({ ...champion, entity: inside, arm: 'challenger', others: [other(2, 'challenger', null)] }),
      predictionOf({
        ...champion,
        role: 'fallback',
        version: 7,
        others: [other(1, 'champion', null), other(2, 'challenger')],
      }),
    ],
    deployments,
  );
  expect(audit).toEqual({
    served: { champion: 3, challenger: 1, fallback: 2 },
    standIns: 1,
    paired: 2,
    unpaired: 2,
    wrong: 0,
    findings: [],
  });
});

test.each<[string, Partial<PredictionRecord>]>([
  ['there is no such deployment', { epoch: 9 }],
  ['arm champion, the split says challenger', { ...champion, entity: inside }],
  ['version 3 served as challenger, which is 2', { ...challenger, version: 3 }],
  ['beside champion 1 stand , not challenger 2', { ...champion, others: [] }],
  ['beside champion 1 stand challenger 2, not ', { others: [other(2, 'challenger')] }],
  ['the challenger served outside its arm', { ...challenger, entity: outside, arm: 'champion' }],
  ['the challenger did not serve its arm', { ...champion, entity: inside, arm: 'challenger' }],
  ['version 7 served as fallback, which is null', { epoch: 3, role: 'fallback', version: 7 }],
  ['the champion did not serve', { role: 'fallback', version: 0, others: [other(1, 'champion')] }],
])('finds that %s', (finding, given) => {
  const audit = verifyRoles([predictionOf(given)], deployments);
  expect(audit.wrong).toBe(1);
  expect(audit.findings[0]).toMatch(new RegExp(`: ${finding}$`));
});
