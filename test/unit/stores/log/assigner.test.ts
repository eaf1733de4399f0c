import { describe, expect, test } from 'vitest';
import { assignTasks } from '../../../../stores/log/kafkaAssigner.js';
import { murmur2, partitionOf } from '../../../../stores/log/partitioner.js';

const member = (memberId: string, tasks: string[] = []) => ({ memberId, name: memberId, tasks });

describe('tasks', () => {
  test('are shared out evenly, each once', () => {
    const assigned = assignTasks(['a', 'b', 'c', 'd', 'e'], [member('1'), member('2')]);
    expect([...assigned.values()].flat().sort()).toEqual(['a', 'b', 'c', 'd', 'e']);
    expect([...assigned.values()].map((tasks) => tasks.length).sort()).toEqual([2, 3]);
  });

  test('stay where they are when a member joins, as far as shares allow', () => {
    const assigned = assignTasks(['a', 'b', 'c', 'd'], [member('1', ['a', 'b', 'c', 'd']), member('2')]);
    expect(assigned.get('1')).toEqual(['a', 'b']);
    expect(assigned.get('2')).toEqual(['c', 'd']);
  });

  test('go only to who can run them, while members differ', () => {
    const members = [member('1', ['a', 'b']), member('2', [])];
    const assigned = assignTasks(['a', 'b', 'c', 'd', 'e'], members, ({ memberId }, task) =>
      task === 'd' ? memberId === '2' : task !== 'e',
    );
    expect(assigned.get('1')).toEqual(expect.arrayContaining(['a', 'b']));
    expect(assigned.get('2')).toContain('d');
    expect([...assigned.values()].flat().sort()).toEqual(['a', 'b', 'c', 'd']);
  });

  test('that two members claim after a split go to one of them', () => {
    const assigned = assignTasks(['a', 'b'], [member('1', ['a', 'b']), member('2', ['a'])]);
    expect([...assigned.values()].flat().sort()).toEqual(['a', 'b']);
  });
});

describe('partitions of keys', () => {
  // Values of org.apache.kafka.common.utils.UtilsTest.
  test.each([
    ['21', -973_932_308],
    ['foobar', -790_332_482],
    ['a-little-bit-long-string', -985_981_536],
    ['a-little-bit-longer-string', -1_486_304_829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58_897_971],
    ['abc', 479_470_107],
  ])('murmur2 of %s is that of Kafka', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });

  test('lie within the topic', () => {
    for (let key = 0; key < 200; key++) expect([0, 1, 2]).toContain(partitionOf(String(key), 3));
  });
});
