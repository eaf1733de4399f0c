import type { DriftRecord, OutcomeRecord } from '../../contracts/records.js';
import { ChampionLosses } from '../../models/drift/championLosses.js';
import { decodeLosses, encodeLosses } from '../../models/drift/lossColumns.js';
import { LossDetector } from '../../models/drift/lossDetector.js';

const DAY = 86_400_000;
const PARTITIONS = 4;

/** From outcomes of four partitions to drift, as the tasks of the monitor do it, without a log between them. */
export class LossSeries {
  private readonly partitions = Array.from({ length: PARTITIONS }, () => new ChampionLosses(7 * DAY));
  private readonly detector = new LossDetector({
    model: 'm',
    generation: 2,
    labelDelayMs: 7 * DAY,
    partitions: PARTITIONS,
  });
  private readonly stored = new Map<string, string | Uint8Array>();

  update(outcome: OutcomeRecord, partition: number): DriftRecord[] {
    const closed = this.partitions[partition]?.take(outcome) ?? null;
    if (closed === null) return [];
    const { knownUpTo, from } = closed;
    const bytes = encodeLosses({ upstream: partition, knownUpTo, from, isIdle: false }, closed.rows);
    return this.detector.take(decodeLosses(bytes), bytes);
  }

  /** Nothing comes from a partition any more. */
  silence(partition: number): DriftRecord[] {
    const from = this.partitions[partition]?.handedOutUpTo ?? null;
    const bytes = encodeLosses({ upstream: partition, knownUpTo: null, from, isIdle: true }, []);
    return this.detector.take(decodeLosses(bytes), bytes);
  }

  /** The same, restored from what it says of its state. */
  restored(): LossSeries {
    const copy = new LossSeries();
    const entries = [
      ...this.partitions.flatMap((each, at) =>
        [...each.entries()].map(([key, value]) => [`${at}:${key}`, value] as const),
      ),
      ...[...this.detector.entries()].map(([key, value]) => [`d:${key}`, value] as const),
    ];
    for (const [key, value] of this.stored) copy.stored.set(key, value);
    for (const [key, value] of entries) {
      if (value === null) copy.stored.delete(key);
      else copy.stored.set(key, value);
    }
    for (const [key, value] of copy.stored) {
      const [part, name] = [key.slice(0, 1), key.slice(2)];
      if (part === 'd') copy.detector.restore(name, value as Uint8Array);
      else copy.partitions[Number(part)]?.restore(name, value as string);
    }
    return copy;
  }
}
