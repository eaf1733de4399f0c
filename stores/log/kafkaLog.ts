import { setTimeout as sleep } from 'node:timers/promises';
import type { ITopicConfig, Kafka } from 'kafkajs';
import { TidemillError } from '../../contracts/errors.js';
import { KafkaAdmin } from './kafkaAdmin.js';
import { createKafka, type KafkaOptions } from './kafkaClient.js';
import { assignedPartitionsOf, memberDataOf } from './kafkaAssigner.js';
import { joinGroup } from './kafkaGroup.js';
import { openProducer, openTransactionalProducer } from './kafkaProducer.js';
import { readPartition } from './kafkaReader.js';
import { topicMismatch } from './topicMismatch.js';
import type {
  CommittedOffset,
  ConsumerGroupOptions,
  GroupMember,
  Log,
  LogProducer,
  LogRecord,
  PartitionOffsets,
  ReadRange,
  TopicPartition,
  TopicSpec,
  TransactionalProducer,
} from './log.js';

/**
 * The log on Kafka through kafkajs. All knowledge about that library stays in this folder.
 *
 * @throws TidemillError LOG_UNAVAILABLE from any method while no broker answers.
 */
export function openKafkaLog(options: KafkaOptions): Log {
  return new KafkaLog(createKafka(options));
}

class KafkaLog implements Log {
  private readonly admin: KafkaAdmin;

  constructor(private readonly kafka: Kafka) {
    this.admin = new KafkaAdmin(kafka);
  }

  async ensureTopics(wanted: readonly TopicSpec[]): Promise<void> {
    const topics = [...new Map(wanted.map((spec) => [spec.topic, spec])).values()];
    await this.admin.ask('create topics', async (admin) => {
      const existing = new Set(await admin.listTopics());
      const missing = topics.filter(({ topic }) => !existing.has(topic));
      // Two processes may start at once: a topic that exists by then is as good as created.
      if (missing.length > 0) await admin.createTopics({ topics: missing.map(topicConfig), waitForLeaders: false });
      const { topics: described } = await admin.fetchTopicMetadata({ topics: topics.map(({ topic }) => topic) });
      for (const { topic, partitions } of topics) {
        const found = described.find(({ name }) => name === topic)?.partitions.length;
        if (found !== partitions) throw topicMismatch(topic, found, partitions);
      }
    });
  }

  async partitionCount(topic: string): Promise<number | null> {
    return this.admin.ask(topic, async (admin) => {
      if (!(await admin.listTopics()).includes(topic)) return null;
      const { topics } = await admin.fetchTopicMetadata({ topics: [topic] });
      return topics[0]?.partitions.length ?? null;
    });
  }

  async topicIds(topics: readonly string[]): Promise<ReadonlyMap<string, string>> {
    // Of all: a topic that is asked for by its name and is not there would be an error, or be made.
    const { topics: described } = await this.admin.ask('topic ids', (admin) =>
      admin.fetchTopicMetadata({ topics: [] }),
    );
    const wanted = new Set(topics);
    const ids = new Map<string, string>();
    for (const { name, partitions } of described) {
      const { topicId } = (partitions[0] ?? {}) as { readonly topicId?: string };
      if (wanted.has(name) && topicId !== undefined && topicId !== NO_ID) ids.set(name, topicId);
    }
    return ids;
  }

  async offsets(topic: string): Promise<readonly PartitionOffsets[]> {
    const found = await this.admin.ask(topic, async (admin) => {
      const offsets = await admin.fetchTopicOffsets(topic);
      if (offsets.length === 0) throw unsaid('offsets', topic);
      return offsets;
    });
    return found
      .map(({ partition, low, high }) => ({ partition, low: Number(low), high: Number(high) }))
      .sort((a, b) => a.partition - b.partition);
  }

  async offsetsAt(topic: string, timestamp: number): ReturnType<Log['offsetsAt']> {
    const found = await this.admin.ask(topic, (admin) => admin.fetchTopicOffsetsByTimestamp(topic, timestamp));
    return found
      .map(({ partition, offset }) => ({ partition, offset: Number(offset) }))
      .sort((a, b) => a.partition - b.partition);
  }

  async groupMembers(group: string): ReturnType<Log['groupMembers']> {
    const { groups } = await this.admin.ask(group, (admin) => admin.describeGroups([group]));
    return (groups[0]?.members ?? []).map(({ clientId, clientHost, memberMetadata, memberAssignment }) => {
      const { name, address } = memberDataOf(memberMetadata);
      return {
        // The broker keeps what members say of themselves only once the group is settled.
        name: name === '' ? clientId : name,
        host: clientHost.replace(/^\//, ''),
        address: address ?? null,
        partitions: assignedPartitionsOf(memberAssignment),
      };
    });
  }

  async committed(group: string, partitions: readonly TopicPartition[]): Promise<readonly CommittedOffset[]> {
    const topics = [...new Set(partitions.map(({ topic }) => topic))];
    return this.admin.ask(group, async (admin) => {
      const found = await admin.fetchOffsets({ groupId: group, topics });
      return partitions.map(({ topic, partition }) => {
        const ofTopic = found.find((each) => each.topic === topic)?.partitions ?? [];
        const known = ofTopic.find((each) => each.partition === partition);
        // The library asks for the partitions that it knows of: nothing said of one is not that it has none.
        if (known === undefined) throw unsaid(group, `${topic}-${partition}`);
        return {
          topic,
          partition,
          offset: known.offset === '-1' ? null : Number(known.offset),
          metadata: known.metadata ?? '',
        };
      });
    });
  }

  async commitOffsets(
    group: string,
    offsets: readonly (TopicPartition & { readonly offset: number })[],
  ): Promise<void> {
    for (const topic of new Set(offsets.map((each) => each.topic)))
      await this.commitOffsetsOf(
        group,
        offsets.filter((each) => each.topic === topic),
      );
  }

  /** The library says that offsets are set though the answer that they are was lost, or never came: only reading tells. */
  private async commitOffsetsOf(
    group: string,
    wanted: readonly (TopicPartition & { readonly offset: number })[],
  ): Promise<void> {
    const topic = wanted[0]?.topic ?? '';
    const partitions = wanted.map(({ partition, offset }) => ({ partition, offset: String(offset) }));
    for (let attempt = 0; ; attempt++) {
      await this.admin.ask(group, (admin) => admin.setOffsets({ groupId: group, topic, partitions }));
      const found = await this.committed(group, wanted);
      const lost = wanted.filter(({ offset }, at) => found[at]?.offset !== offset);
      if (lost.length === 0) return;
      if (attempt === COMMIT_ATTEMPTS)
        throw new TidemillError('LOG_UNAVAILABLE', `${group}: the broker does not keep the offsets that are set`, {
          group,
          lost,
        });
      await sleep(ATTEMPT_MS);
    }
  }

  read(range: ReadRange): AsyncIterable<readonly LogRecord[]> {
    return readPartition(this.kafka, range, () => this.offsets(range.topic));
  }

  async join(options: ConsumerGroupOptions): Promise<GroupMember> {
    return joinGroup(this.kafka, options);
  }

  async producer(): Promise<LogProducer> {
    return openProducer(this.kafka);
  }

  async transactionalProducer(transactionalId: string): Promise<TransactionalProducer> {
    return openTransactionalProducer(this.kafka, transactionalId);
  }

  async deleteTopics(topics: readonly string[]): Promise<void> {
    if (topics.length > 0)
      await this.admin.ask('delete topics', (admin) => admin.deleteTopics({ topics: [...topics] }));
  }

  async topics(prefix: string): Promise<readonly string[]> {
    return this.admin.ask('list topics', async (admin) =>
      (await admin.listTopics()).filter((name) => name.startsWith(prefix)).sort(),
    );
  }

  async deleteGroups(groups: readonly string[]): Promise<void> {
    if (groups.length > 0) await this.admin.ask('delete groups', (admin) => admin.deleteGroups([...groups]));
  }

  close(): Promise<void> {
    return this.admin.close();
  }
}

/** A broker that is getting ready answers without what was asked for; the next connection asks anew. */
function unsaid(what: string, of: string): TidemillError {
  return new TidemillError('LOG_UNAVAILABLE', `${what}: the broker said nothing of ${of}`, { what, of });
}

/** What the broker says of a topic from before topics had identities. */
const NO_ID = Buffer.alloc(16).toString('base64url');

/** Each of them lasts a round of the group, or two. */
const COMMIT_ATTEMPTS = 10;
const ATTEMPT_MS = 50;

/** Append time is what `maxFuture` compares with: a producer's own clock must not decide. */
function topicConfig({ topic, partitions, compacted, retentionMs }: TopicSpec): ITopicConfig {
  const configEntries = [{ name: 'message.timestamp.type', value: 'LogAppendTime' }];
  if (compacted === true) {
    configEntries.push({ name: 'cleanup.policy', value: 'compact' }, { name: 'max.compaction.lag.ms', value: '60000' });
  } else configEntries.push({ name: 'retention.ms', value: String(retentionMs ?? -1) });
  // As many replicas as the broker makes by default (`default.replication.factor`): one on a laptop, three in a cluster.
  return { topic, numPartitions: partitions, replicationFactor: -1, configEntries };
}
