import { createWriteStream } from 'node:fs';
import { once } from 'node:events';
import { parseArgs } from 'node:util';
import { mergedEvents } from './events.js';
import { generateFraud } from './generateFraud.js';

/** `tidemill generate fraud`: events as JSON lines `{stream, key, value}`, labels merged by time. */
const { values } = parseArgs({
  options: {
    days: { type: 'string', default: '30' },
    seed: { type: 'string', default: '1' },
    drift: { type: 'string' },
    output: { type: 'string', default: '-' },
  },
});
const drift = values.drift === undefined ? null : /^new-pattern@(\d+)$/.exec(values.drift);
const [days, seed] = [Number(values.days), Number(values.seed)];
if (
  !Number.isSafeInteger(days) ||
  days < 1 ||
  !Number.isSafeInteger(seed) ||
  (values.drift !== undefined && drift === null)
) {
  console.error('usage: tidemill generate fraud --days N [--seed S] [--drift new-pattern@DAY] [--output FILE|-]');
  process.exit(2);
}
const output = values.output === '-' ? process.stdout : createWriteStream(values.output);
const counts = { transactions: 0, 'fraud-labels': 0 };
for (const { events } of mergedEvents(
  generateFraud({ seed, days, driftDay: drift === null ? null : Number(drift[1]) }),
)) {
  let text = '';
  for (const { stream, key, value } of events) {
    counts[stream]++;
    text += `{"stream":"${stream}","key":"${key}","value":${value}}\n`;
  }
  if (!output.write(text)) await once(output, 'drain');
}
if (output !== process.stdout) output.end();
console.error(`${counts.transactions} transactions and ${counts['fraud-labels']} labels of ${days} days`);
