import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { isTidemillError } from '../../contracts/errors.js';
import type {
  Assignment,
  GroupMember,
  Log,
  LogProducer,
  LogRecord,
  TransactionalProducer,
} from '../../stores/log/log.js';
import { partitionOf } from '../../stores/log/partitioner.js';

const codeOf = async (act: Promise<unknown>): Promise<string> =>
  act.then(
    () => 'nothing',
    (error: unknown) => (isTidemillError(error) ? error.code : String(error)),
  );

/** What every adapter of the log must do. */
export function logSuite(
  name: string,
  open: () => Promise<{ readonly log: Log; readonly stop: () => Promise<void> }>,
): void {
  describe(`a log (${name})`, () => {
    let log: Log;
    let stop: () => Promise<void>;
    let producer: LogProducer;
    let number = 0;
    beforeAll(async () => {
      ({ log, stop } = await open());
      producer = await log.producer();
    });
    afterAll(async () => {
      await producer.close();
      await stop();
    });

    const newTopic = async (partitions = 1): Promise<string> => {
      const topic = `suite.${++number}`;
      await log.ensureTopics([{ topic, partitions }]);
      return topic;
    };
    const readAll = async (topic: string, partition = 0, from = 0): Promise<LogRecord[]> => {
      const high = (await log.offsets(topic)).find((each) => each.partition === partition)?.high ?? 0;
      const records: LogRecord[] = [];
      for await (const batch of log.read({ topic, partition, from, to: high })) records.push(...batch);
      return records;
    };
    const values = (records: readonly LogRecord[]): (string | undefined)[] =>
      records.map(({ value }) => value?.toString());

    test('makes topics once, and refuses another number of partitions', async () => {
      const topic = await newTopic(3);
      await log.ensureTopics([{ topic, partitions: 3 }]);
      expect(await log.partitionCount(topic)).toBe(3);
      expect(await log.partitionCount('suite.none')).toBeNull();
      expect(await codeOf(log.ensureTopics([{ topic, partitions: 2 }]))).toBe('TOPIC_MISMATCH');
    });

    test('tells a topic that was created anew from the one before, and one that is not there from both', async () => {
      const [topic, other] = [await newTopic(2), await newTopic()];
      const idsOf = (): Promise<ReadonlyMap<string, string>> => log.topicIds([topic, other, 'suite.none']);
      const before = await idsOf();
      await log.commitOffsets('anew', [{ topic, partition: 1, offset: 0 }]);
      expect([...before.keys()].sort()).toEqual([topic, other].sort());
      expect(before.get(topic)).not.toBe(before.get(other));
      expect(await idsOf()).toEqual(before);
      await log.deleteTopics([topic]);
      while ((await log.partitionCount(topic)) !== null) await sleep(20);
      expect([...(await idsOf()).keys()]).toEqual([other]);
      await log.ensureTopics([{ topic, partitions: 2 }]);
      const after = await idsOf();
      expect(after.get(topic)).toBeDefined();
      expect(after.get(topic)).not.toBe(before.get(topic));
      expect(after.get(other)).toBe(before.get(other));
      // What groups had committed went with the topic.
      expect(await log.committed('anew', [{ topic, partition: 1 }])).toMatchObject([{ offset: null }]);
    });

    test('keeps the order of a key, in the partition that the key’s hash names', async () => {
      const topic = await newTopic(3);
      await producer.send(Array.from({ length: 30 }, (_, at) => ({ topic, key: `key-${at % 7}`, value: String(at) })));
      for (const partition of [0, 1, 2]) {
        const records = await readAll(topic, partition);
        expect(records.every(({ key }) => partitionOf(key as Buffer, 3) === partition)).toBe(true);
        for (const key of new Set(records.map((record) => record.key?.toString()))) {
          const own = records
            .filter((record) => record.key?.toString() === key)
            .map(({ value }) => Number(value?.toString()));
          expect(own).toEqual([...own].sort((a, b) => a - b));
        }
      }
    });

    test('carries headers, empty values and tombstones', async () => {
      const topic = await newTopic();
      await producer.send([
        { topic, key: null, value: 'a', headers: { code: 'X' } },
        { topic, key: 'k', value: '' },
        { topic, key: 'k', value: null },
      ]);
      const records = await readAll(topic);
      expect(records[0]?.headers['code']?.toString()).toBe('X');
      expect(records.map(({ value }) => value?.length ?? null)).toEqual([1, 0, null]);
    });

    test('shows outputs and offsets of a transaction together, or not at all', async () => {
      const topic = await newTopic();
      const transactional = await log.transactionalProducer(`${topic}.t`);
      const place = { topic, partition: 0 };
      await transactional.begin();
      await transactional.send([{ topic, key: null, partition: 0, value: 'dropped' }]);
      await transactional.sendOffsets(`${topic}.g`, [{ ...place, offset: 5 }]);
      await transactional.abort();
      expect((await log.committed(`${topic}.g`, [place]))[0]?.offset).toBeNull();
      await transactional.begin();
      await transactional.send([{ topic, key: null, partition: 0, value: 'kept' }]);
      await transactional.sendOffsets(`${topic}.g`, [{ ...place, offset: 7, metadata: 'm' }]);
      await transactional.commit();
      while ((await log.committed(`${topic}.g`, [place]))[0]?.offset !== 7) await sleep(10);
      expect((await log.committed(`${topic}.g`, [place]))[0]?.metadata).toBe('m');
      // What is committed later without any has none.
      await transactional.begin();
      await transactional.sendOffsets(`${topic}.g`, [{ ...place, offset: 8 }]);
      await transactional.commit();
      while ((await log.committed(`${topic}.g`, [place]))[0]?.offset !== 8) await sleep(10);
      expect((await log.committed(`${topic}.g`, [place]))[0]?.metadata).toBe('');
      // Markers take offsets: the range ends by position.
      await producer.send([{ topic, key: null, partition: 0, value: 'after' }]);
      expect(values(await readAll(topic))).toEqual(['kept', 'after']);
      await transactional.close();
    });

    test('never shows an aborted record, however transactions overlap and wherever reading starts', async () => {
      const topic = await newTopic();
      const send = async (transactional: TransactionalProducer, value: string): Promise<void> =>
        transactional.send([{ topic, key: null, partition: 0, value }]);
      const [a, b, c] = (await Promise.all(
        ['a', 'b', 'c'].map((id) => log.transactionalProducer(`${topic}.${id}`)),
      )) as [TransactionalProducer, TransactionalProducer, TransactionalProducer];
      const all = [a, b, c];
      for (let round = 0; round < 3; round++) {
        for (const each of all) await each.begin();
        await send(a, `a${round} aborted`);
        await send(b, `b${round} aborted`);
        await send(c, `c${round}`);
        await send(b, `b${round} aborted`);
        await send(a, `a${round} aborted`);
        // They end in another order than they began.
        await b.abort();
        await c.commit();
        await a.abort();
      }
      await Promise.all(all.map((each) => each.close()));
      await producer.send([{ topic, key: null, partition: 0, value: 'end' }]);
      let high = 0;
      while ((high = (await log.offsets(topic))[0]?.high ?? 0) < 25) await sleep(10);
      for (let from = 0; from < high; from++) {
        const seen = await readAll(topic, 0, from);
        // Per round: 5 records, 3 markers; the committed one is the third.
        const expected = ['c0', 'c1', 'c2', 'end'].slice(Math.floor((from + 5) / 8));
        expect({ from, seen: values(seen) }).toEqual({ from, seen: expected });
      }
    });

    test('reads on as records come, until it is told to stop', async () => {
      const topic = await newTopic();
      const stop = new AbortController();
      const seen: (string | undefined)[] = [];
      const reading = (async () => {
        for await (const batch of log.read({ topic, partition: 0, from: 0, to: null, signal: stop.signal }))
          seen.push(...values(batch));
      })();
      for (const value of ['a', 'b', 'c']) {
        await producer.send([{ topic, key: null, partition: 0, value }]);
        while (seen.at(-1) !== value) await sleep(10);
      }
      expect(seen).toEqual(['a', 'b', 'c']);
      stop.abort();
      await reading;
    });

    test('lets a successor under the same id end its predecessor', async () => {
      const topic = await newTopic();
      const old = await log.transactionalProducer(`${topic}.t`);
      await old.begin();
      await old.send([{ topic, key: null, partition: 0, value: 'zombie' }]);
      const successor = await log.transactionalProducer(`${topic}.t`);
      expect(await codeOf(old.commit())).toBe('PRODUCER_FENCED');
      await successor.begin();
      await successor.send([{ topic, key: null, partition: 0, value: 'successor' }]);
      await successor.commit();
      while ((await log.offsets(topic))[0]?.high === 0) await sleep(10);
      await producer.send([{ topic, key: null, partition: 0, value: 'plain' }]);
      expect(values(await readAll(topic))).toEqual(['successor', 'plain']);
      await old.close();
      await successor.close();
    });

    test('has decided what a predecessor was committing by the time its successor opens', async () => {
      const topic = await newTopic();
      const group = `${topic}.g`;
      const place = { topic, partition: 0 };
      const committed = async (): Promise<number | null | undefined> =>
        (await log.committed(group, [place]))[0]?.offset;
      let current = await log.transactionalProducer(`${topic}.t`);
      for (let offset = 1; offset <= 12; offset++) {
        await current.begin();
        await current.send([{ topic, partition: 0, key: null, value: String(offset) }]);
        await current.sendOffsets(group, [{ ...place, offset }]);
        // In turn: committed, being committed, left open.
        const committing = offset % 3 === 2 ? null : codeOf(current.commit());
        if (offset % 3 === 0) await committing;
        const successor = await log.transactionalProducer(`${topic}.t`);
        const found = await committed();
        if (offset % 3 === 0) expect(found).toBe(offset);
        if (offset % 3 === 2) expect(found ?? 0).toBeLessThan(offset);
        await committing;
        await sleep(20);
        expect(await committed()).toBe(found);
        await current.close();
        current = successor;
      }
      await current.close();
    });

    test('delivers to a group nothing before resume, and everything from the given offset after it', async () => {
      const topic = await newTopic(4);
      await producer.send(
        Array.from({ length: 40 }, (_, at) => ({ topic, partition: at % 4, key: null, value: String(at) })),
      );
      const received = new Map<string, string[]>();
      const assignments = new Map<string, Assignment>();
      const joinAs = (member: string): Promise<GroupMember> =>
        log.join({
          group: `${topic}.g`,
          topics: [topic],
          memberName: member,
          taskOf: ({ partition }) => `task-${partition}`,
          onAssigned: (assignment) => void assignments.set(member, assignment),
          onRecords: (records) =>
            void received.set(member, [...(received.get(member) ?? []), ...values(records).map(String)]),
          onPosition: () => undefined,
          onError: (error) => {
            throw error;
          },
        });
      const one = await joinAs('one');
      while (assignments.get('one')?.partitions.length !== 4) await sleep(20);
      await sleep(300);
      expect(received.size).toBe(0);
      one.seekAndResume({ topic, partition: 2 }, 5);
      while ((received.get('one') ?? []).length < 5) await sleep(20);
      expect(received.get('one')).toEqual(['22', '26', '30', '34', '38']);

      const two = await joinAs('two');
      while (assignments.get('one')?.partitions.length !== 2 || assignments.get('two')?.partitions.length !== 2)
        await sleep(20);
      const numbers = [...assignments.values()].flatMap(({ partitions }) =>
        partitions.map(({ partition }) => partition),
      );
      expect(numbers.sort()).toEqual([0, 1, 2, 3]);
      expect(await one.confirmAssigned(assignments.get('one')?.epoch ?? 0)).toBe(true);
      expect(await one.confirmAssigned(0)).toBe(false);
      expect((await log.groupMembers(`${topic}.g`)).length).toBe(2);
      const [held] = assignments.get('one')?.partitions ?? [];
      if (held === undefined) throw new Error('one holds nothing');
      await one.commitOffsets([{ ...held, offset: 7, metadata: 'seven' }], assignments.get('one')?.epoch ?? 0);
      expect((await log.committed(`${topic}.g`, [held]))[0]).toMatchObject({ offset: 7, metadata: 'seven' });
      await expect(one.commitOffsets([{ ...held, offset: 8 }], 0)).rejects.toMatchObject({ code: 'PRODUCER_FENCED' });
      await one.leave();
      while (assignments.get('two')?.partitions.length !== 4) await sleep(20);
      await two.leave();
      while ((await log.groupMembers(`${topic}.g`)).length > 0) await sleep(20);
    });

    test('tells no position beyond what was delivered, though reading is sent back while what was fetched waits', async () => {
      const topic = await newTopic(4);
      const count = 50;
      const numbers = [0, 1, 2, 3];
      for (const partition of numbers)
        await producer.send(Array.from({ length: count }, () => ({ topic, partition, key: null, value: 'v' })));
      /** Offsets up to which records came, and positions told beyond them. */
      const delivered = new Map(numbers.map((partition) => [partition, 0]));
      const gaps: string[] = [];
      let wasSentBack = false;
      let assigned = false;
      const member = await log.join({
        group: `${topic}.g`,
        topics: [topic],
        memberName: 'one',
        taskOf: ({ partition }) => `task-${partition}`,
        onAssigned: () => {
          assigned = true;
        },
        onRecords: (records) => {
          const { partition, offset } = records.at(-1) as LogRecord;
          delivered.set(partition, Math.max(delivered.get(partition) ?? 0, offset + 1));
          if (wasSentBack) return;
          wasSentBack = true;
          // The others came in the same answer of the broker, and wait.
          for (const other of numbers) if (other !== partition) member.seekAndResume({ topic, partition: other }, 0);
        },
        onPosition: ({ partition }, position) => {
          const known = delivered.get(partition) ?? 0;
          if (position > known) gaps.push(`partition ${partition} is at ${position}, delivered up to ${known}`);
        },
        onError: (error) => {
          throw error;
        },
      });
      while (!assigned) await sleep(20);
      for (const partition of numbers) member.seekAndResume({ topic, partition }, 0);
      while ([...delivered.values()].some((offset) => offset < count)) await sleep(20);
      await sleep(300);
      expect(gaps).toEqual([]);
      await member.leave();
    });

    test('names the members of a group, and nobody of one that there is not', async () => {
      expect(await log.groupMembers('suite.nobody')).toEqual([]);
    });

    test('finds the first record of a time, and the end where there is none', async () => {
      const topic = await newTopic(2);
      const send = (value: string): Promise<void> => producer.send([{ topic, partition: 0, key: null, value }]);
      await send('early');
      const [early] = await readAll(topic);
      // Append times are whole milliseconds: the next one is another.
      let late: LogRecord | undefined;
      while (late === undefined || late.timestamp === early?.timestamp) {
        await sleep(5);
        await send('late');
        late = (await readAll(topic)).at(-1);
      }
      const at = async (timestamp: number): Promise<number[]> =>
        (await log.offsetsAt(topic, timestamp)).map(({ offset }) => offset);
      expect(await at(0)).toEqual([0, 0]);
      expect(await at(late.timestamp)).toEqual([late.offset, 0]);
      expect(await at(late.timestamp + 60_000)).toEqual([late.offset + 1, 0]);
    });
  });
}
