/** What a request for metadata names: no topics ask for all of them. */
export interface MetadataRequest {
  readonly topics: readonly string[];
  readonly allowAutoTopicCreation?: boolean;
}

/** As the client library has it, and each partition with the identity of its topic: of topics it passes on no more. */
export interface MetadataResponse {
  readonly throttleTime: number;
  readonly clientSideThrottleTime: number;
  readonly brokers: readonly {
    readonly nodeId: number;
    readonly host: string;
    readonly port: number;
    readonly rack: string | null;
  }[];
  readonly clusterId: string | null;
  readonly controllerId: number;
  readonly topicMetadata: readonly {
    readonly topicErrorCode: number;
    readonly topic: string;
    readonly isInternal: boolean;
    readonly partitionMetadata: readonly PartitionMetadata[];
  }[];
}

interface PartitionMetadata {
  readonly partitionErrorCode: number;
  readonly partitionId: number;
  readonly leader: number;
  readonly replicas: readonly number[];
  readonly isr: readonly number[];
  readonly offlineReplicas: readonly number[];
  readonly topicId: string;
}

/** The first version whose answer says which topic it is that has a name now (KIP-516). */
export const METADATA_VERSION = 10;

const ID_BYTES = 16;

/**
 * Encodes a request for metadata, version 10:
 *
 *   rest of the header (no tags), [id (none), name, no tags], create missing ones?, no access rights asked for, no tags
 *
 * https://kafka.apache.org/protocol#The_Messages_Metadata
 */
export function encodeMetadataRequest({ topics, allowAutoTopicCreation = true }: MetadataRequest): Buffer {
  const named = topics.map((topic) => {
    const name = Buffer.from(topic);
    return Buffer.concat([Buffer.alloc(ID_BYTES), uvarint(name.length + 1), name, NO_TAGS]);
  });
  return Buffer.concat([
    NO_TAGS,
    uvarint(topics.length === 0 ? 0 : topics.length + 1),
    ...named,
    Buffer.from([allowAutoTopicCreation ? 1 : 0, 0, 0]),
    NO_TAGS,
  ]);
}

/** Decodes the answer to it, from where the correlation id ends. */
export function decodeMetadataResponse(bytes: Buffer): MetadataResponse {
  const reader = new CompactReader(bytes);
  reader.tags();
  const throttleTime = reader.int32();
  const brokers = reader.array(() => {
    const broker = { nodeId: reader.int32(), host: reader.text() ?? '', port: reader.int32(), rack: reader.text() };
    reader.tags();
    return broker;
  });
  const clusterId = reader.text();
  const controllerId = reader.int32();
  const topicMetadata = reader.array(() => {
    const topicErrorCode = reader.int16();
    const topic = reader.text() ?? '';
    const topicId = reader.id();
    const isInternal = reader.int8() !== 0;
    const partitionMetadata = reader.array(() => partitionOf(reader, topicId));
    reader.int32();
    reader.tags();
    return { topicErrorCode, topic, isInternal, partitionMetadata };
  });
  // The broker delays nobody itself: it says how long the client is to wait.
  return { throttleTime: 0, clientSideThrottleTime: throttleTime, brokers, clusterId, controllerId, topicMetadata };
}

function partitionOf(reader: CompactReader, topicId: string): PartitionMetadata {
  const partitionErrorCode = reader.int16();
  const partitionId = reader.int32();
  const leader = reader.int32();
  // Epoch of the leader.
  reader.int32();
  const [replicas, isr, offlineReplicas] = [reader.integers(), reader.integers(), reader.integers()];
  reader.tags();
  return { partitionErrorCode, partitionId, leader, replicas, isr, offlineReplicas, topicId };
}

const NO_TAGS = Buffer.from([0]);

function uvarint(value: number): Buffer {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return Buffer.from([...bytes, rest]);
}

/** Reads the compact forms of KIP-482: lengths are variable and one more than they are, 0 stands for null. */
class CompactReader {
  private at = 0;

  constructor(private readonly bytes: Buffer) {}

  int8(): number {
    return this.bytes.readInt8(this.advance(1));
  }
  int16(): number {
    return this.bytes.readInt16BE(this.advance(2));
  }
  int32(): number {
    return this.bytes.readInt32BE(this.advance(4));
  }
  id(): string {
    return this.slice(ID_BYTES).toString('base64url');
  }
  text(): string | null {
    const length = this.uvarint();
    return length === 0 ? null : this.slice(length - 1).toString('utf8');
  }
  integers(): number[] {
    return this.array(() => this.int32());
  }
  array<T>(read: () => T): T[] {
    const length = this.uvarint();
    return Array.from({ length: Math.max(0, length - 1) }, read);
  }
  /** Passes over what newer brokers may add. */
  tags(): void {
    for (let left = this.uvarint(); left > 0; left--) {
      this.uvarint();
      this.advance(this.uvarint());
    }
  }

  private uvarint(): number {
    let value = 0;
    for (let factor = 1; ; factor *= 0x80) {
      const byte = this.bytes.readUInt8(this.advance(1));
      value += (byte % 0x80) * factor;
      if (byte < 0x80) return value;
    }
  }
  private slice(length: number): Buffer {
    const from = this.advance(length);
    return this.bytes.subarray(from, from + length);
  }
  /** @returns where what is passed over begins. */
  private advance(length: number): number {
    const from = this.at;
    this.at += length;
    return from;
  }
}
