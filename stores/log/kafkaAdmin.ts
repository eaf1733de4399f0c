import { setTimeout as sleep } from 'node:timers/promises';
import type { Admin, Kafka } from 'kafkajs';
import { TidemillError } from '../../contracts/errors.js';
import { codedError, isPassing } from './kafkaClient.js';

/** Ten seconds, all in all. */
const MAX_ATTEMPTS = 200;
const ATTEMPT_MS = 50;
/** By then what was created or started a moment ago is there. */
const RENEWING_ATTEMPT = 10;

interface Connection {
  readonly admin: Admin;
  readonly isReady: Promise<void>;
  /** Questions that are being asked by it. */
  users: number;
  /** Nothing new is asked by it: whoever is done with it last closes it. */
  isDropped: boolean;
}

/** The connection by which a process asks the broker about topics and groups: made when it is needed, and anew after a failure. */
export class KafkaAdmin {
  private current: Connection | null = null;

  constructor(private readonly kafka: Pick<Kafka, 'admin'>) {}

  /**
   * Right after a start, and after a topic's or a group's creation, the broker needs a moment: such answers are asked again.
   *
   * @param what is asked about, for the message.
   */
  async ask<T>(what: string, act: (admin: Admin) => Promise<T>): Promise<T> {
    for (let attempt = 0; ; attempt++) {
      const connection = (this.current ??= this.connect());
      connection.users++;
      try {
        return await act(await this.admin(connection));
      } catch (error) {
        if (attempt >= MAX_ATTEMPTS || !isPassing(error)) {
          const coded = codedError(error, what);
          if (coded instanceof TidemillError) this.drop(connection);
          throw coded;
        }
        // The library asks anew for every topic that it was ever asked about: where somebody has deleted one, each of its
        // answers is that there is no such topic. A connection that was asked about nothing yet has no such memory.
        if (attempt === RENEWING_ATTEMPT) this.drop(connection);
      } finally {
        connection.users--;
        this.closeUnused(connection);
      }
      await sleep(ATTEMPT_MS);
    }
  }

  async close(): Promise<void> {
    const { current } = this;
    this.current = null;
    if (current === null) return;
    await current.isReady.catch(() => undefined);
    await current.admin.disconnect();
  }

  private connect(): Connection {
    const admin = this.kafka.admin({ retry: { initialRetryTime: 100, retries: 5 } });
    return { admin, isReady: admin.connect(), users: 0, isDropped: false };
  }

  private async admin(connection: Connection): Promise<Admin> {
    try {
      await connection.isReady;
    } catch (error) {
      // Whatever the reason: it would fail for ever.
      this.drop(connection);
      throw error;
    }
    return connection.admin;
  }

  private drop(connection: Connection): void {
    if (this.current === connection) this.current = null;
    connection.isDropped = true;
  }

  private closeUnused({ admin, users, isDropped }: Connection): void {
    if (isDropped && users === 0) void admin.disconnect().catch(() => undefined);
  }
}
