import { parseArgs } from 'node:util';
import { generateFraud } from '../../examples/fraud/generator/generateFraud.js';
import { scoreHistory } from './scoreHistory.js';

/**
 * Cost of the fraud topology: 15 features over two hops, 100 full trees, predictions written, exactly-once.
 *
 *   node scripts/run.mjs dist/bench/streams/fraudScoring.js [--days 40] [--workers 1] [--profile FOLDER] [--json]
 */
const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '40' },
    workers: { type: 'string', default: '1' },
    profile: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const found = await scoreHistory({
  days: generateFraud({ seed: 1, days: Number(values.days), driftDay: null }),
  workers: Number(values.workers),
  profile: values.profile,
  say: (text) => process.stderr.write(`${text}\n`),
});
if (values.json) console.log(JSON.stringify(found));
else console.table(found);
