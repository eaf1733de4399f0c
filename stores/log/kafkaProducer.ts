import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka, Message, Producer, TopicMessages, Transaction } from 'kafkajs';
import { TidemillError } from '../../contracts/errors.js';
import { Partitioners } from './kafkajs/kafkajs.js';
import { codedError, protocolType, RETRY } from './kafkaClient.js';
import { batchesOf, recordTooLarge } from './recordBatches.js';
import type { LogProducer, OffsetToCommit, OutgoingRecord, TransactionalProducer } from './log.js';

/** How long an unfinished transaction may hide later records of its partitions. */
const TRANSACTION_TIMEOUT_MS = 10_000;

export async function openProducer(kafka: Kafka): Promise<LogProducer> {
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    idempotent: true,
    maxInFlightRequests: 1,
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: RETRY,
  });
  try {
    await producer.connect();
  } catch (error) {
    await abandon(producer);
    throw codedError(error, 'producer');
  }
  return {
    send: async (records) => {
      try {
        await sendInBatches(producer, records);
      } catch (error) {
        throw codedError(error, 'send');
      }
    },
    close: () => producer.disconnect(),
  };
}

/**
 * Opens a producer under a transactional id and ends an empty transaction with it. When this resolves every
 * predecessor under the id is fenced, and a transaction that it had open is aborted: committed offsets read from now on
 * are final.
 */
export async function openTransactionalProducer(kafka: Kafka, transactionalId: string): Promise<TransactionalProducer> {
  const producer = kafka.producer({
    allowAutoTopicCreation: false,
    transactionalId,
    idempotent: true,
    maxInFlightRequests: 1,
    transactionTimeout: TRANSACTION_TIMEOUT_MS,
    createPartitioner: Partitioners.DefaultPartitioner,
    retry: RETRY,
  });
  try {
    await producer.connect();
    await (await producer.transaction()).abort();
  } catch (error) {
    await abandon(producer);
    throw transactionError(error, transactionalId);
  }
  return new KafkaTransactionalProducer(producer, transactionalId);
}

/** One that could not be opened is nobody's: its connections, and their timers, would stay for as long as the process. */
async function abandon(producer: Producer): Promise<void> {
  await producer.disconnect().catch(() => undefined);
}

class KafkaTransactionalProducer implements TransactionalProducer {
  private transaction: Transaction | null = null;
  private broken = false;

  constructor(
    private readonly producer: Producer,
    private readonly id: string,
  ) {}

  async begin(): Promise<void> {
    await this.guarded(async () => {
      if (this.transaction !== null) throw new Error(`invariant broken: ${this.id} has a transaction open`);
      this.transaction = await this.producer.transaction();
    });
  }

  async send(records: readonly OutgoingRecord[]): Promise<void> {
    if (records.length === 0) return;
    await this.guarded(() => sendInBatches(this.open(), records));
  }

  async sendOffsets(group: string, offsets: readonly OffsetToCommit[]): Promise<void> {
    const topics = [...new Set(offsets.map(({ topic }) => topic))].map((topic) => ({
      topic,
      partitions: offsets
        .filter((each) => each.topic === topic)
        .map(({ partition, offset, metadata }) => ({ partition, offset: String(offset), metadata: metadata ?? '' })),
    }));
    await this.guarded(async () => {
      for (let attempt = 0; ; attempt++) {
        try {
          await this.open().sendOffsets({ consumerGroupId: group, topics });
          return;
        } catch (error) {
          // The markers of the previous transaction are still being written; the client does not retry this one itself.
          if (protocolType(error) !== 'CONCURRENT_TRANSACTIONS' || attempt > 1_000) throw error;
          await sleep(2);
        }
      }
    });
  }

  async commit(): Promise<void> {
    await this.guarded(async () => {
      await this.open().commit();
      this.transaction = null;
    });
  }

  async abort(): Promise<void> {
    await this.guarded(async () => {
      await this.open().abort();
      this.transaction = null;
    });
  }

  async close(): Promise<void> {
    this.broken = true;
    await this.producer.disconnect();
  }

  private open(): Transaction {
    if (this.transaction === null) throw new Error(`invariant broken: ${this.id} has no transaction open`);
    return this.transaction;
  }

  /** After any failure the client's state machine is stuck: the producer answers nothing any more. */
  private async guarded(act: () => Promise<void>): Promise<void> {
    if (this.broken) {
      throw new TidemillError('PRODUCER_UNUSABLE', `${this.id}: an earlier failure left the producer unusable`, {
        id: this.id,
      });
    }
    try {
      await act();
    } catch (error) {
      this.broken = true;
      throw transactionError(error, this.id);
    }
  }
}

/**
 * What a broker answers that stumbles over two producers of one id at a time: neither that this one is fenced nor what
 * became of its transaction. Seen on Kafka 4.
 */
const UNDECIDED: ReadonlySet<string> = new Set(['UNKNOWN', 'CONCURRENT_TRANSACTIONS', 'INVALID_TXN_STATE']);

/** What a broker answers to more than `max.message.bytes` of its topic. */
const TOO_LARGE: ReadonlySet<string> = new Set(['MESSAGE_TOO_LARGE', 'RECORD_LIST_TOO_LARGE']);

function transactionError(error: unknown, id: string): unknown {
  const type = protocolType(error);
  if (!UNDECIDED.has(type)) return codedError(error, id);
  return new TidemillError(
    'PRODUCER_UNUSABLE',
    `${id}: what became of its transaction is unknown (${type})`,
    { id, type },
    { cause: error },
  );
}

async function sendInBatches(to: Pick<Transaction, 'sendBatch'>, records: readonly OutgoingRecord[]): Promise<void> {
  for (const batch of batchesOf(records)) {
    try {
      await to.sendBatch({ topicMessages: byTopic(batch), acks: -1 });
    } catch (error) {
      throw TOO_LARGE.has(protocolType(error)) ? recordTooLarge(batch, error) : error;
    }
  }
}

function byTopic(records: readonly OutgoingRecord[]): TopicMessages[] {
  const topics = new Map<string, OutgoingRecord[]>();
  for (const record of records) {
    const messages = topics.get(record.topic);
    if (messages === undefined) topics.set(record.topic, [record]);
    else messages.push(record);
  }
  // They go through the library to encodeProduce.ts as they are.
  return [...topics].map(([topic, messages]) => ({ topic, messages: messages as unknown as Message[] }));
}
