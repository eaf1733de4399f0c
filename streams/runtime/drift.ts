import { setTimeout as sleep } from 'node:timers/promises';
import type { Log, LogRecord, OutgoingRecord } from '../../stores/log/log.js';

/** How the tasks that read sources keep together. */
export interface DriftSpec {
  /** Compacted topic of one partition in which they say how far they are. */
  readonly topic: string;
  /** How far one may be ahead of the slowest, ms of event time. */
  readonly maxDriftMs: number;
}

/** How far a task that reads a source is; value of the topic's records, whose key is the task. */
export interface SourceStanding {
  readonly task: string;
  /** Greatest event time that it has folded; null before the first. */
  readonly time: number | null;
  readonly isIdle: boolean;
}

/** After a failure the topic is read anew, ms. */
const READ_ANEW_MS = 1_000;

/**
 * Where the tasks of all processes stand, as far as this one has heard. It decides about pace alone: a task that is too far
 * ahead does not go on until the slowest has come after. The slowest itself always goes on, and who is idle counts for
 * nothing, so somebody always moves.
 *
 *   customer-0   10:40            waits
 *   customer-1   09:30            goes on     maxDrift 1h
 *   customer-2   03:00   idle
 */
export class DriftWatch {
  private readonly standings = new Map<string, SourceStanding>();
  private readonly stopped = new AbortController();
  private readonly reading: Promise<void>;

  /**
   * @param onNews called whenever somebody may go on who could not before.
   * @param onUnread where the topic cannot be read for now: without news the pace is that of the news of before.
   */
  constructor(
    private readonly log: Log,
    private readonly spec: DriftSpec,
    private readonly onNews: () => void,
    private readonly onUnread: (error: unknown) => void,
  ) {
    this.reading = this.follow();
  }

  /** May a task not go on? */
  isAhead({ task, time }: SourceStanding): boolean {
    if (time === null) return false;
    for (const other of this.standings.values()) {
      if (other.task === task || other.isIdle || other.time === null) continue;
      if (time > other.time + this.spec.maxDriftMs) return true;
    }
    return false;
  }

  /** What a task says of itself, in the transaction of what it has folded. */
  record(standing: SourceStanding): OutgoingRecord {
    return { topic: this.spec.topic, partition: 0, key: standing.task, value: JSON.stringify(standing) };
  }

  async stop(): Promise<void> {
    this.stopped.abort();
    await this.reading;
  }

  private async follow(): Promise<void> {
    const { signal } = this.stopped;
    while (!signal.aborted) {
      try {
        await this.read(signal);
      } catch (error) {
        if (signal.aborted) return;
        this.onUnread(error);
        await sleep(READ_ANEW_MS, undefined, { signal }).catch(() => undefined);
      }
    }
  }

  private async read(signal: AbortSignal): Promise<void> {
    const { topic } = this.spec;
    const [range] = await this.log.offsets(topic);
    for await (const batch of this.log.read({ topic, partition: 0, from: range?.low ?? 0, to: null, signal })) {
      for (const record of batch) this.note(record);
      this.onNews();
    }
  }

  private note({ value }: LogRecord): void {
    if (value === null) return;
    const standing = JSON.parse(value.toString('utf8')) as SourceStanding;
    this.standings.set(standing.task, standing);
  }
}
