import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { spendPerCustomer } from '../../../examples/sales/project.js';
import { windowTopology } from '../../../streams/topologies/windows/windowTopology.js';
import { driveTask } from '../../support/taskDriver.js';

const guide = await readFile('docs/guides/windows.md', 'utf8');
const blocks = (language: string): string[] =>
  [...guide.matchAll(new RegExp(`^\`\`\`${language}\\n(.*?)^\`\`\`$`, 'gms'))].map(([, text]) =>
    (text as string).trim(),
  );

describe('the guide to windows', () => {
  test('shows the definitions of the example', async () => {
    const example = await readFile('examples/sales/project.ts', 'utf8');
    const shown = blocks('ts').flatMap((block) => block.split('\n\n'));
    expect(shown.length).toBe(2);
    for (const definition of shown) expect(example).toContain(definition);
  });

  test('shows what its events come to', async () => {
    const [events, results] = blocks('json');
    const topology = windowTopology({
      project: 'shop',
      windows: spendPerCustomer.compiled,
      generation: 1,
      partitions: 1,
      setsAside: true,
    });
    const place = { topic: 'shop.sales', partition: 0 };
    const { outputs } = await driveTask({
      create: () => topology.createTask('window-0', [place]),
      records: (events as string).split('\n').map((text, offset) => ({
        ...place,
        offset,
        timestamp: Date.parse('2026-01-01T11:00:00Z'),
        key: null,
        value: Buffer.from(text),
        headers: {},
      })),
      commitEvery: 2,
      snapshotEvery: 1,
    });
    const written = (topic: string): string[] =>
      outputs.filter((each) => each.topic === topic).map(({ value }) => String(value));
    expect(written('shop.customer-spend').join('\n')).toBe(results);
    expect(written('shop.late').map((text) => (JSON.parse(text) as { id: number }).id)).toEqual([5]);
    expect(written('shop.duplicates').map((text) => (JSON.parse(text) as { id: number }).id)).toEqual([3]);
  });
});
