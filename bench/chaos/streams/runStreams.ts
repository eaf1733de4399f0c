import { STREAM_FAULTS, SHORT_FORM } from './streamFaults.js';
import { Stage, type FaultResult } from './stage.js';
import type { StreamFault } from './streamFault.js';
import { checkEnd } from './endCheck.js';
import type { SuiteOptions, SuiteResult } from '../suite.js';

const nameOf = ({ family, fault }: StreamFault): string => `${family}: ${fault}`;

/** Is anything lost, repeated, wrong, or a fault not made? */
const isBroken = ({ lost, repeated, wrong, problems }: FaultResult): boolean =>
  lost + repeated + wrong + problems.length > 0;

/** The stream suite: every fault while load comes in, and at the end all that is left behind. */
export async function runStreams({ seed, only, short, keep, say }: SuiteOptions): Promise<SuiteResult> {
  const chosen = STREAM_FAULTS.filter((each) =>
    only === null ? !short || SHORT_FORM.includes(nameOf(each)) : new RegExp(only).test(nameOf(each)),
  );
  const faults: FaultResult[] = [];
  const tell = (result: FaultResult): void => {
    faults.push(result);
    const { records, lost, repeated, wrong, vectors, onlineKeys, recoverySeconds, seconds, problems } = result;
    say(
      `  ${records} records: ${lost} lost, ${repeated} repeated, ${wrong} wrong; ${vectors} vectors, ${onlineKeys} online keys; ` +
        `${recoverySeconds === null ? '' : `recovered in ${recoverySeconds} s; `}${seconds} s` +
        problems.map((problem) => `\n        ${problem}`).join(''),
    );
  };
  const stage = await Stage.set(seed, say);
  let isWhole = false;
  try {
    for (const [at, fault] of chosen.entries()) {
      say(`${at + 1} of ${chosen.length}: ${nameOf(fault)}`);
      const lacking = (await fault.needs?.()) ?? null;
      if (lacking !== null) say(`  skipped: ${lacking}`);
      else tell(await stage.play(fault));
    }
    say('the end: state of every task, the whole online store, outcomes, archive');
    tell(await checkEnd(stage, say));
    isWhole = true;
  } finally {
    if (keep) say(`kept: ${stage.cluster.directory}`);
    await stage.clear(keep);
  }
  return { seed, faults, failed: !isWhole || faults.some(isBroken) };
}
