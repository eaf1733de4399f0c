import type { PredictionRecord } from '../../contracts/records.js';

/** A prediction as the champion makes it, where a test does not say otherwise. */
export function predictionOf(given: Partial<PredictionRecord>): PredictionRecord {
  return {
    id: 1,
    at: 1_000,
    model: 'fraud',
    version: 1,
    role: 'champion',
    epoch: 1,
    score: 0.25,
    decision: 'allow',
    arm: 'champion',
    micros: 12,
    others: [],
    service: 'service',
    vector: [1, null],
    source: { topic: 'p.transactions', partition: 0, offset: 7 },
    cut: null,
    entity: 3,
    ...given,
  };
}
