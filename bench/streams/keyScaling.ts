import { parseArgs } from 'node:util';
import { DAY_MS } from '../../contracts/duration.js';
import type { GeneratedTransaction } from '../../examples/fraud/generator/generateFraud.js';
import { scoreHistory } from './scoreHistory.js';

/**
 * What an event costs with more and more keys: the fraud topology over the same number of payments of 1,000 to 1,000,000
 * customers at as many terminals, all equally likely. Every payment has one prediction, so only the state differs.
 *
 *   node scripts/run.mjs dist/bench/streams/keyScaling.js [--payments 1000000] [--keys 1000,10000,100000,1000000] [--profile FOLDER] [--json]
 */
const DAYS = 30;
const START = Date.parse('2026-01-01T00:00:00Z');

/** Payments of a month; the same for the same numbers. */
function* paymentsOf(
  payments: number,
  keys: number,
): Generator<{ readonly day: number; readonly transactions: GeneratedTransaction[] }> {
  let state = 1;
  const below = (bound: number): number => {
    state = (state * 48_271) % 2_147_483_647;
    return Math.floor((state / 2_147_483_647) * bound);
  };
  const perDay = Math.ceil(payments / DAYS);
  for (let day = 0, id = 0; day < DAYS; day++) {
    const transactions: GeneratedTransaction[] = [];
    for (let at = 0; at < perDay && id < payments; at++, id++) {
      transactions.push({
        id,
        at: START + day * DAY_MS + Math.floor((at * DAY_MS) / perDay),
        customer: below(keys),
        terminal: below(keys),
        amount: 100 + below(20_000),
        fraud: below(100) === 0,
        scenario: 0,
      });
    }
    yield { day, transactions };
  }
}

const { values } = parseArgs({
  options: {
    payments: { type: 'string', default: '1000000' },
    keys: { type: 'string', default: '1000,10000,100000,1000000' },
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const rows: { readonly keys: number; readonly microsecondsPerPayment: number; readonly memoryMb: number }[] = [];
for (const keys of values.keys.split(',').map(Number)) {
  const say = (text: string): boolean => process.stderr.write(`${keys} keys: ${text}\n`);
  const days = paymentsOf(Number(values.payments), keys);
  const { paymentsPerCpuSecond, memoryMb } = await scoreHistory({ days, workers: 1, profile: values.profile, say });
  rows.push({ keys, microsecondsPerPayment: Math.round(1e8 / paymentsPerCpuSecond) / 100, memoryMb });
}
const costs = rows.map(({ microsecondsPerPayment }) => microsecondsPerPayment);
const ratio = Math.round((Math.max(...costs) / Math.min(...costs)) * 100) / 100;
if (values.json) console.log(JSON.stringify({ payments: Number(values.payments), rows, ratio }));
else {
  console.table(rows);
  console.log(`the dearest costs ${ratio} times the cheapest`);
}
