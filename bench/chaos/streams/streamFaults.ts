import { BROKER_FAULTS } from './brokerFaults.js';
import { KILL_FAULTS } from './killFaults.js';
import { MEMBER_FAULTS } from './memberFaults.js';
import { NETWORK_FAULTS } from './networkFaults.js';
import { ONLINE_FAULTS } from './onlineFaults.js';
import type { StreamFault } from './streamFault.js';

export const STREAM_FAULTS: readonly StreamFault[] = [
  ...KILL_FAULTS,
  ...MEMBER_FAULTS,
  ...BROKER_FAULTS,
  ...NETWORK_FAULTS,
  ...ONLINE_FAULTS,
];

/** A few of each kind: what runs with every change. */
export const SHORT_FORM: readonly string[] = [
  'commit: kill -9 after-outputs',
  'recovery: kill -9 in-replay',
  'network: cut right after EndTxn',
  'online store: flushed',
];
