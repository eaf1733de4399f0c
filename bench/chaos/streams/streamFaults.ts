import { BROKER_FAULTS } from './brokerFaults.js';
import { KILL_FAULTS } from './killFaults.js';
import { MEMBER_FAULTS } from './memberFaults.js';
import { NETWORK_FAULTS } from './networkFaults.js';
import { OFFSET_FAULTS } from './offsetFaults.js';
import { ONLINE_FAULTS } from './onlineFaults.js';
import { RECORD_FAULTS } from './recordFaults.js';
import { RELAY_FAULTS } from './relayFaults.js';
import { SNAPSHOT_FAULTS } from './snapshotFaults.js';
import type { StreamFault } from './streamFault.js';

export const STREAM_FAULTS: readonly StreamFault[] = [
  ...KILL_FAULTS,
  ...MEMBER_FAULTS,
  ...BROKER_FAULTS,
  ...NETWORK_FAULTS,
  ...ONLINE_FAULTS,
  ...SNAPSHOT_FAULTS,
  ...RECORD_FAULTS,
  ...OFFSET_FAULTS,
  ...RELAY_FAULTS,
];

/** A few of each kind: what runs with every change. */
export const SHORT_FORM: readonly string[] = [
  'commit: kill -9 after-outputs',
  'recovery: kill -9 in-replay',
  'network: cut right after EndTxn',
  'online store: flushed',
  'snapshot: corrupt',
];
