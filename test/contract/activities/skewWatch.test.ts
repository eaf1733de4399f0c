import { createRequire } from 'node:module';
import type * as TemporalTesting from '@temporalio/testing';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createWatchActivities, type ActivityDependencies } from '../../../activities/index.js';
import type { OtherScore } from '../../../contracts/records.js';
import type { BegunWatch, Look, Watch } from '../../../contracts/rollout.js';
import { errors, skew } from '../../../models/operationalGates.js';
import { paymentRecord, START } from '../../support/payments.js';
import { labelAfter, ServedWorld } from '../../support/servedWorld.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;

const MINUTE = 60_000;
const DAY = 86_400_000;
const COUNT = 900;
const END = START + COUNT * MINUTE;
const OF_CANDIDATE = 2;
const EPOCH = 5;
const SCORED_BESIDE: OtherScore = {
  version: OF_CANDIDATE,
  role: 'challenger',
  score: 0.1,
  decision: 'allow',
  micros: 10,
  problem: null,
};

let world: ServedWorld;
beforeEach(async () => {
  world = await ServedWorld.start();
  world.scored = { version: 1, role: 'champion', epoch: EPOCH, others: [SCORED_BESIDE] };
});
afterEach(() => world.stop());

const SHADOW: Watch = {
  step: 'shadow',
  kind: 'shadow',
  version: OF_CANDIDATE,
  reference: 1,
  share: 0,
  wanted: COUNT,
  atMostMs: 30 * DAY,
};
const BEGUN: BegunWatch = { epoch: EPOCH, from: {}, since: START, finished: null };

/** The last look of a watch; `onBeat` is called at its nth sign of life. */
async function look(
  margin: number,
  options: { readonly watch?: Watch; readonly stallAfterMs?: number; readonly details?: unknown } = {},
  onBeat: (beat: number, details: unknown) => void = () => undefined,
): Promise<Look> {
  const { watch = SHADOW, stallAfterMs = 60_000, details } = options;
  const { model } = world;
  const gates = { ...model.gates, operational: [errors(0.1), skew(margin)] };
  const watches = createWatchActivities({
    ...world.parts,
    modelOf: () => ({ ...model, stallAfterMs, gates }),
    registry: {
      newestRollout: () => Promise.resolve(null),
      version: (_model: string, version: number) => Promise.resolve({ version, service: model.service.hash }),
    },
  } as unknown as ActivityDependencies);
  const environment = new MockActivityEnvironment(details === undefined ? {} : { heartbeatDetails: details });
  let beats = 0;
  environment.on('heartbeat', (given: unknown) => onBeat(++beats, given));
  return environment.run(() => watches.awaitEvidence({ model: 'fraud', token: 1 }, watch, BEGUN, 3));
}
const skewOf = ({ verdicts }: Look) => verdicts.find(({ gate }) => gate.startsWith('skew'));

describe('a watch of a model that declares skew', () => {
  /** Labels that were there before their requests were served, and labels that came later. */
  async function serve(share: { readonly inTime: boolean }): Promise<void> {
    const made = world.payments(COUNT, 1, START);
    const labels = made.map((each) => labelAfter(world.project, each, MINUTE));
    const requests = made.map((each) => paymentRecord(world.project, each));
    if (share.inTime) await world.serve([...labels, ...requests]);
    else {
      await world.serve(requests);
      await world.serve(labels);
    }
    await world.finish(END);
  }

  test('passes where what was served is what event time says', async () => {
    await serve({ inTime: true });
    const result = await look(0.05);
    expect(result).toMatchObject({ decision: 'pass' });
    expect(skewOf(result)).toMatchObject({ verdict: 'pass' });
    expect(result.verdicts.find(({ gate }) => gate === 'skew(0.05)')?.reason).toMatch(
      /^0\.000 % of \d+ requests were served otherwise than recomputed in event time, in \[/,
    );
  });

  test('fails where labels were in flight, with the number and the reason', async () => {
    await serve({ inTime: false });
    const result = await look(0.05);
    expect(result.decision).toBe('fail');
    expect(skewOf(result)?.reason).toMatch(
      /^[1-9]\d*\.\d+ % of \d+ requests .*\(in flight \d+\), in \[.*below 5\.000 %/,
    );
    expect(result.reason).toContain('skew(0.05): ');
  });

  test('passes where fewer were in flight than the margin allows', async () => {
    await serve({ inTime: false });
    expect(skewOf(await look(0.9))).toMatchObject({ verdict: 'pass' });
  });

  test('is inconclusive where no row ever is final', async () => {
    const made = world.payments(COUNT, 1, START);
    await world.serve(made.map((each) => paymentRecord(world.project, each)));
    const stalled = await look(0.05, { stallAfterMs: 1_000 });
    expect(stalled).toMatchObject({ decision: 'inconclusive', verdicts: [] });
    // Time is up: what was not audited does not pass.
    const over = await look(0.05, { watch: { ...SHADOW, atMostMs: COUNT * MINUTE - MINUTE } });
    expect(over.decision).toBe('inconclusive');
    expect(skewOf(over)).toMatchObject({ verdict: 'inconclusive', reason: 'no served vector has been recomputed' });
  });

  test('waits until its rows are final', async () => {
    const made = world.payments(COUNT, 1, START);
    await world.serve([
      ...made.map((each) => labelAfter(world.project, each, MINUTE)),
      ...made.map((each) => paymentRecord(world.project, each)),
    ]);
    const finishing: Promise<void>[] = [];
    const result = await look(0.05, {}, (beat) => {
      if (beat === 3) finishing.push(world.finish(END));
    });
    expect(finishing).toHaveLength(1);
    await Promise.all(finishing);
    expect(result.decision).toBe('pass');
  });

  test('audits the very same rows when it is attempted again', async () => {
    await serve({ inTime: false });
    let frame: unknown = null;
    const first = await look(0.05, {}, (_beat, given) => {
      frame = (given as { frame?: unknown }).frame ?? frame;
    });
    expect(frame).not.toBeNull();
    // More requests, none of them skewed, came in the meantime.
    world.scored = { ...world.scored, epoch: EPOCH };
    const more = world.payments(300, 400_000, END + 2 * DAY);
    await world.serve([
      ...more.map((each) => labelAfter(world.project, each, MINUTE)),
      ...more.map((each) => paymentRecord(world.project, each)),
    ]);
    await world.finish(END + 3 * DAY);
    const again = await look(0.05, { details: { frame } });
    expect(skewOf(again)).toEqual(skewOf(first));
    expect(skewOf(await look(0.05))).not.toEqual(skewOf(first));
  });

  test('a vector that the features do not give fails it, however few there are', async () => {
    await serve({ inTime: true });
    const served = await world.predictions();
    const first = served.find(({ epoch }) => epoch === EPOCH);
    const other = served.find(({ epoch }) => epoch > EPOCH);
    if (first === undefined || other === undefined) throw new Error('nothing was served');
    // A request that the watch has not seen yet, with a vector that nobody computed.
    const forged = { ...first, source: other.source };
    await world.send([{ topic: 'world.fraud.predictions', key: 'x', value: JSON.stringify(forged) }]);
    const result = await look(0.05, { watch: { ...SHADOW, wanted: COUNT + 1 } });
    expect(result.decision).toBe('fail');
    expect(skewOf(result)?.reason).toMatch(
      /^1 served vectors are not what the features say within their cut: prediction/,
    );
  });
});
