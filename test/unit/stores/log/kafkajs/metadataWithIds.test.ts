import { createRequire } from 'node:module';
import { describe, expect, test } from 'vitest';
import '../../../../../stores/log/kafkajs/kafkajs.js';
import { decodeMetadataResponse, encodeMetadataRequest } from '../../../../../stores/log/kafkajs/metadataWithIds.js';

const hex = (...parts: readonly string[]): Buffer => Buffer.from(parts.join('').replaceAll(' ', ''), 'hex');
const text = (of: string): string => Buffer.from(of).toString('hex');

describe('metadata with identities of topics', () => {
  test('is asked for by names, without making a topic', () => {
    expect(encodeMetadataRequest({ topics: ['sales'], allowAutoTopicCreation: false }).toString('hex')).toBe(
      hex('00', '02', '00'.repeat(16), '06', text('sales'), '00', '00 00 00', '00').toString('hex'),
    );
  });

  test('is asked for of all topics by no names', () => {
    expect(encodeMetadataRequest({ topics: [] })).toEqual(hex('00', '00', '01 00 00', '00'));
  });

  test('is asked for by names of any length', () => {
    const topic = 'x'.repeat(249);
    const bytes = encodeMetadataRequest({ topics: [topic] });
    expect(bytes.subarray(18, 20)).toEqual(hex('fa01'));
    expect(bytes.subarray(20, 269).toString()).toBe(topic);
  });

  test('is read with tags that nobody knows yet, and gives each partition the identity of its topic', () => {
    const broker = ['00000001', '05', text('host'), '00002384', '00', '00'];
    const partition = ['0000', '00000003', '00000001', '00000007', '02', '00000001', '02', '00000001', '01', '00'];
    const id = '0102030405060708090a0b0c0d0e0f10';
    const topic = ['0000', '06', text('sales'), id, '00', '02', ...partition, '80000000', '01 09 02 ffff'];
    const response = hex(
      '01 05 01 aa',
      '00000011',
      '02',
      ...broker,
      '04',
      text('abc'),
      '00000001',
      '02',
      ...topic,
      '80000000',
      '00',
    );
    expect(decodeMetadataResponse(response)).toEqual({
      throttleTime: 0,
      clientSideThrottleTime: 17,
      brokers: [{ nodeId: 1, host: 'host', port: 9092, rack: null }],
      clusterId: 'abc',
      controllerId: 1,
      topicMetadata: [
        {
          topicErrorCode: 0,
          topic: 'sales',
          isInternal: false,
          partitionMetadata: [
            {
              partitionErrorCode: 0,
              partitionId: 3,
              leader: 1,
              replicas: [1],
              isr: [1],
              offlineReplicas: [],
              topicId: Buffer.from(id, 'hex').toString('base64url'),
            },
          ],
        },
      ],
    });
  });

  test.each([
    [5, 5],
    [6, 6],
    [8, 6],
    [10, 10],
  ])('of a broker that knows version %i is asked for by version %i', (known, asked) => {
    const { requests, lookup } = createRequire(import.meta.url)('kafkajs/src/protocol/requests/index.js') as {
      requests: { Metadata: object };
      lookup: (
        versions: object,
      ) => (
        apiKey: number,
        definition: object,
      ) => (of: { topics: readonly string[] }) => { request: { apiVersion: number } };
    };
    const request = lookup({ 3: { minVersion: 0, maxVersion: known } })(3, requests.Metadata);
    expect(request({ topics: ['sales'] }).request.apiVersion).toBe(asked);
  });
});
