import { createRequire } from 'node:module';
import type * as Library from 'kafkajs';
import { decodeRecords } from './decodeRecords.js';
import { encodeProduce, type ProduceRequest } from './encodeProduce.js';
import { FetchedBatch } from './fetchedBatch.js';
import type { FetchedRecord } from './fetchedRecord.js';
import { repairReadCommitted } from './hideAborted.js';
import {
  decodeMetadataResponse,
  encodeMetadataRequest,
  METADATA_VERSION,
  type MetadataRequest,
} from './metadataWithIds.js';
import { refuseLostOffsets } from './refuseLostOffsets.js';

/**
 * The client library, with some of its private modules replaced before it is loaded. Four of them cost more than all that a
 * stream task does with a record: replaced is what turns records into bytes and back, and nothing of the protocol. The fifth
 * asks brokers that know them for the identities of topics.
 *
 *   producer/groupMessagesPerPartition   copies all records of a partition for each further one
 *   protocol/requests/produce/v3         encodes each record into buffers of its own
 *   protocol/requests/fetch/v4           decodes each record through big integers and texts of them
 *   consumer/batch                       compares offsets as texts of whole numbers
 *   protocol/requests/metadata           asks by a version from before topics had identities
 *
 * The version is pinned, so that the modules are what was replaced; a test compares the bytes with those of the originals.
 */
const require = createRequire(import.meta.url);

interface Decoder {
  readInt32(): number;
  canReadBytes(length: number): boolean;
  readBytes(length: number): Buffer;
}

interface Encoder {
  buf: Buffer;
  offset: number;
}

interface OriginalRequest {
  encode: () => Promise<Encoder>;
}

type RequestOf = (request: ProduceRequest & { readonly compression?: number }) => OriginalRequest;

function replace<T>(path: string, make: (original: T) => unknown): void {
  const place = `kafkajs/src/${path}`;
  const original = require(place) as T;
  const loaded = require.cache[require.resolve(place)];
  if (loaded === undefined) throw new Error(`invariant broken: ${place} is not where it was loaded from`);
  loaded.exports = make(original);
}

replace('producer/groupMessagesPerPartition.js', () => groupByPartition);

replace<RequestOf>('protocol/requests/produce/v3/request.js', (original) => {
  const EncoderClass = require('kafkajs/src/protocol/encoder.js') as new (size: number) => Encoder;
  return (request: Parameters<RequestOf>[0]): OriginalRequest => {
    const made = original(request);
    if ((request.compression ?? 0) !== 0) return made;
    const encode = (): Promise<Encoder> => {
      const encoder = new EncoderClass(1);
      encoder.buf = encodeProduce(request, Date.now());
      encoder.offset = encoder.buf.length;
      return Promise.resolve(encoder);
    };
    return { ...made, encode };
  };
});

replace('protocol/requests/fetch/v4/decodeMessages.js', () => {
  const codecs = require('kafkajs/src/protocol/message/compression/index.js') as {
    lookupCodecByAttributes(attributes: number): { decompress(bytes: Buffer): Promise<Buffer> };
  };
  return async (decoder: Decoder): Promise<FetchedRecord[]> => {
    const size = decoder.readInt32();
    if (size <= 0 || !decoder.canReadBytes(size)) return [];
    return decodeRecords(decoder.readBytes(size), (attributes, bytes) =>
      codecs.lookupCodecByAttributes(attributes).decompress(bytes),
    );
  };
});

replace('consumer/batch.js', () => FetchedBatch);

interface RequestVersions {
  readonly versions: readonly string[];
  readonly protocol: (of: { readonly version: number }) => (request: MetadataRequest) => object;
}

replace<RequestVersions>('protocol/requests/metadata/index.js', ({ versions, protocol }) => {
  const newest = Math.max(...versions.map(Number));
  const EncoderClass = require('kafkajs/src/protocol/encoder.js') as new (size: number) => Encoder;
  const { Metadata: apiKey } = require('kafkajs/src/protocol/requests/apiKeys.js') as { Metadata: number };
  const { parse } = require(`kafkajs/src/protocol/requests/metadata/v${newest}/response.js`) as { parse: unknown };
  const withIds = (request: MetadataRequest): object => {
    const encode = (): Promise<Encoder> => {
      const encoder = new EncoderClass(1);
      encoder.buf = encodeMetadataRequest(request);
      encoder.offset = encoder.buf.length;
      return Promise.resolve(encoder);
    };
    const decode = (bytes: Buffer) => Promise.resolve(decodeMetadataResponse(bytes));
    return {
      request: { apiKey, apiVersion: METADATA_VERSION, apiName: 'Metadata', encode },
      response: { decode, parse },
    };
  };
  return {
    versions: [...versions, String(METADATA_VERSION)],
    // Of brokers between the two the newest version that the library knows is asked for.
    protocol: ({ version }: { readonly version: number }) =>
      version >= METADATA_VERSION ? withIds : protocol({ version: Math.min(version, newest) }),
  };
});

interface Grouping<M> {
  readonly topic: string;
  readonly partitionMetadata: readonly unknown[];
  readonly messages: readonly M[];
  readonly partitioner: (what: {
    readonly topic: string;
    readonly partitionMetadata: readonly unknown[];
    readonly message: M;
  }) => number;
}

/** Records by partition, in their order. */
function groupByPartition<M>({ topic, partitionMetadata, messages, partitioner }: Grouping<M>): Record<number, M[]> {
  const groups: Record<number, M[]> = {};
  if (partitionMetadata.length === 0) return groups;
  for (const message of messages) (groups[partitioner({ topic, partitionMetadata, message })] ??= []).push(message);
  return groups;
}

const library = require('kafkajs') as typeof Library;
repairReadCommitted();
refuseLostOffsets();

export const { AssignerProtocol, Kafka, Partitioners, logLevel } = library;
