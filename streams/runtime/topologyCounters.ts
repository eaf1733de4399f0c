import { deadLetterTopic } from '../../contracts/topics.js';
import type { OutgoingRecord } from '../../stores/log/log.js';

/**
 * What the tasks of one topology have done in this process, as plain numbers that whoever wants them reads. They only grow,
 * whichever tasks come and go.
 */
export class TopologyCounters {
  /** Records folded live, those of transactions that failed included. */
  folded = 0;
  /** Recoveries after a failure. */
  rebuilds = 0;
  snapshotsDiscarded = 0;
  /** Records that were answered before their turn, since they had waited for as long as they may. */
  early = 0;
  /** Records of committed transactions, by the topic that they were written to. */
  readonly committed = new Map<string, number>();
  /** Committed dead letters by error code. */
  readonly deadLetters = new Map<string, number>();
  private readonly deadLetterTopic: string;

  constructor(project: string) {
    this.deadLetterTopic = deadLetterTopic(project);
  }

  /** Counts the outputs of a transaction that committed. One topic mostly comes in runs. */
  countCommitted(records: readonly OutgoingRecord[]): void {
    let topic: string | null = null;
    let run = 0;
    for (const record of records) {
      if (record.topic !== topic) {
        if (topic !== null) add(this.committed, topic, run);
        topic = record.topic;
        run = 0;
      }
      run++;
      if (topic === this.deadLetterTopic) add(this.deadLetters, String(record.headers?.['code']), 1);
    }
    if (topic !== null) add(this.committed, topic, run);
  }
}

function add(counts: Map<string, number>, name: string, count: number): void {
  counts.set(name, (counts.get(name) ?? 0) + count);
}
