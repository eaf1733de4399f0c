import type { OtherScore } from '../../contracts/records.js';
import type { OperationalOptions, OperationalRow } from '../../models/gates/operationalEvidence.js';
import { agreement, errors, latency } from '../../models/operationalGates.js';

/** Rows and options of operational evidence about version 2 against version 1. */
export const CHAMPION = 1;
export const CHALLENGER = 2;
export const GATES = [latency({ share: 0.99, under: '5ms' }), errors(0.01), agreement({ decisions: 0.05 })];

export const optionsOf = (changes: Partial<OperationalOptions> = {}): OperationalOptions => ({
  gates: GATES,
  challenger: CHALLENGER,
  champion: CHAMPION,
  mode: 'shadow',
  requests: 2_000,
  ...changes,
});

/** Neighbours differ by a microsecond: each request is a micro-batch of its own unless a test says otherwise. */
let made = 0;

export const other = (version: number, changes: Partial<OtherScore> = {}): OtherScore => ({
  version,
  role: version === CHAMPION ? 'champion' : 'challenger',
  score: 0.1,
  decision: 'allow',
  micros: 800 + (made++ % 1_000),
  problem: null,
  ...changes,
});

export const failed = (version: number): OtherScore =>
  other(version, { score: null, decision: null, problem: 'it answered NaN' });

/** A request that the champion serves and the challenger scores, in good time and alike. */
export const row = (entity: number, changes: Partial<OperationalRow> = {}): OperationalRow => ({
  version: CHAMPION,
  role: 'champion',
  arm: 'champion',
  decision: 'allow',
  micros: 700 + (made++ % 1_000),
  others: [other(CHALLENGER)],
  entity,
  source: { topic: 'transactions', partition: 0, offset: 0 },
  ...changes,
});
