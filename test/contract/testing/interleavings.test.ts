import { describe, expect, test } from 'vitest';
import { exploreInterleavings, seededRandom, testStreams } from 'tidemill/testing';
import { predictionsTopic } from '../../../contracts/topics.js';
import { project } from '../../../examples/fraud/project.js';
import type { LogRecord } from '../../../stores/log/log.js';
import type { ParsedRecord, StreamTask, Topology } from '../../../streams/runtime/topology.js';
import { messyPayments } from './projects.js';

describe('in whatever order things happen and whatever goes wrong', () => {
  test.each([1, 51, 101, 151])(
    'every request ends once, every vector is the interpreter’s, and a replay gives the same state (50 seeds from %i)',
    async (from) => {
      const report = await exploreInterleavings(project, {
        seeds: Array.from({ length: 50 }, (_, at) => from + at),
        topologies: ['score', 'outcome', 'monitor'],
        inputs: messyPayments(40),
        faults: 4,
      });
      // All of it was there to be judged.
      expect(report.requests).toBeGreaterThan(2_000);
      expect(report.vectors).toBe(report.predictions);
      for (const count of [report.duplicates, report.late, report.deadLetters]) expect(count).toBeGreaterThan(50);
      expect(report.outcomes).toBeGreaterThanOrEqual(50 * 40);
      expect(report.tasks).toBeGreaterThanOrEqual(50 * 9);
      expect(report.faults).toBeGreaterThan(100);
    },
  );

  test('the online store has what the interpreter has', async () => {
    const report = await exploreInterleavings(project, {
      seeds: 8,
      topologies: ['materialize'],
      inputs: messyPayments(40),
      faults: 4,
    });
    expect(report.onlineKeys).toBeGreaterThan(8 * 15);
  });

  test('every record is in one archived range', async () => {
    const report = await exploreInterleavings(project, {
      seeds: 4,
      topologies: ['score', 'archive'],
      inputs: messyPayments(20),
      faults: 3,
    });
    expect(report.archivedRecords).toBeGreaterThan(4 * 60);
  });
});

describe('a seed', () => {
  async function trace(seed: number): Promise<{ steps: string[]; faults: readonly string[] }> {
    const driver = await testStreams(project, { instances: [] });
    const steps: string[] = [];
    driver.onStep = (label) => steps.push(label);
    const inputs = messyPayments(30)(seededRandom(seed));
    const { faults } = await driver.interleave({ seed, inputs, faults: 4, instances: ['one', 'two'] });
    await driver.close();
    return { steps, faults };
  }

  test('does the same again, step by step; another one does something else', async () => {
    const first = await trace(3);
    expect(first.steps.length).toBeGreaterThan(100);
    expect(await trace(3)).toEqual(first);
    expect((await trace(4)).steps).not.toEqual(first.steps);
  });
});

/** Counts what it reads of the predictions, and its own commits with them: no function of the log. */
class CountingTask implements StreamTask {
  readonly stateIdentity = 'counting/1';
  readonly watermark = null;
  readonly pendingRows = 0;
  private count = 0;

  parse(record: LogRecord): ParsedRecord {
    return { record, time: record.timestamp, content: null };
  }
  fold(): void {
    this.count++;
  }
  drain(): Promise<void> {
    return Promise.resolve();
  }
  flush(): void {
    // It writes nothing.
  }
  committed(): void {
    this.count++;
  }
  *snapshot(): Iterable<{ key: Uint8Array; value: Uint8Array }> {
    yield { key: Buffer.from('count'), value: Buffer.from(String(this.count)) };
  }
  restore(_key: Uint8Array, value: Uint8Array): void {
    this.count = Number(Buffer.from(value).toString());
  }
}

/** Held to it only where more than one commit is made. */
function countingTopology({ project: id, partitions }: { project: string; partitions: number }): Topology {
  const topic = predictionsTopic(id, 'fraud');
  return {
    identity: { project: id, name: 'counting', generation: 1 },
    sources: [{ topic, start: 'earliest' }],
    outputs: [{ topic, partitions }],
    stages: [{ name: 'count', does: 'counts', reads: [topic], keeps: ['a count'], writes: [] }],
    taskOf: ({ partition }) => `count-${partition}`,
    createTask: () => new CountingTask(),
  };
}

test('state that is no function of the log is found, and the message says which seed to repeat', async () => {
  const exploration = { inputs: messyPayments(30), more: [countingTopology], faults: 0 };
  const failure = exploreInterleavings(project, { ...exploration, seeds: [7] });
  await expect(failure).rejects.toMatchObject({
    code: 'INVARIANT_BROKEN',
    message: expect.stringMatching(
      /seed 7.*\n.*counting count-[01]: "count" is "\d+", a replay of the log has/,
    ) as string,
    details: { seed: 7 },
  });
});
