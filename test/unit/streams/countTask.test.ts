import { expect, test } from 'vitest';
import { outcomesTopic, predictionsTopic } from '../../../contracts/topics.js';
import { fraud } from '../../../examples/fraud/project.js';
import { decodeLosses } from '../../../models/drift/lossColumns.js';
import { parseCountBlock, type CountBlock } from '../../../models/monitoring/countBlock.js';
import type { LogRecord, OutgoingRecord } from '../../../stores/log/log.js';
import { IDLE_AFTER_MS } from '../../../streams/runtime/idleness.js';
import type { InputPace } from '../../../streams/runtime/taskTimers.js';
import type { Output } from '../../../streams/runtime/topology.js';
import { CountTask } from '../../../streams/topologies/monitor/countTask.js';
import { planMonitor } from '../../../streams/topologies/monitor/monitorPlan.js';
import { START } from '../../support/payments.js';
import { predictionOf } from '../../support/predictions.js';

const project = 'p';
const HOUR = 3_600_000;
const identity = { project, name: 'monitor.fraud', generation: 1 };
const plan = planMonitor(identity, { project, model: fraud.compiled, partitions: 2, bucketMs: HOUR });
const topics = [predictionsTopic(project, 'fraud'), outcomesTopic(project, 'fraud')] as const;

/** One life of the task of partition 1, and what it has sent. */
class Life {
  readonly task = new CountTask(plan, 1);
  private sent: OutgoingRecord[] = [];
  private readonly output: Output = {
    emit: (record) => void this.sent.push(record),
    deadLetter: () => {
      throw new Error('a record was set aside');
    },
  };

  predict(offset: number, replay = false): void {
    const value = Buffer.from(JSON.stringify(predictionOf({ id: offset, at: START + offset * 1_000 })));
    const record: LogRecord = {
      topic: topics[0],
      partition: 1,
      offset,
      timestamp: START,
      key: null,
      value,
      headers: {},
    };
    this.task.fold(this.task.parse(record), this.output, replay);
  }

  /** Nothing comes for as long as it takes to be idle. */
  fallSilent(): void {
    const inputs = topics.map((topic): InputPace => ({ topic, partition: 1, hasMore: false }));
    for (const elapsed of [0, IDLE_AFTER_MS]) this.task.timers.pass(elapsed, inputs, this.output);
  }

  /** What is said at the end of a transaction of who is idle. */
  commit(): { readonly counts: Pick<CountBlock, 'of' | 'isIdle'>[]; readonly losses: boolean[] } {
    this.task.flush(this.output);
    const sent = this.sent;
    this.sent = [];
    const of = (topic: string): Buffer[] =>
      sent.filter((record) => record.topic === topic).map(({ value }) => Buffer.from(value ?? ''));
    return {
      counts: of(plan.counts).flatMap((value) => {
        const { of: counted, isIdle } = parseCountBlock(value, HOUR);
        // Blocks that close buckets say nothing of it.
        return isIdle === undefined ? [] : [{ of: counted, isIdle }];
      }),
      losses: of(plan.losses).map((value) => decodeLosses(value).isIdle),
    };
  }
}

test('a partition that was idle is so until something comes, also where another process says it', () => {
  const first = new Life();
  first.predict(1);
  expect(first.commit()).toEqual({ counts: [{ of: 'predictions', isIdle: false }], losses: [] });
  first.fallSilent();
  expect(first.commit()).toEqual({
    counts: [
      { of: 'predictions', isIdle: true },
      { of: 'outcomes', isIdle: true },
    ],
    losses: [true],
  });
  expect(first.commit()).toEqual({ counts: [], losses: [] });
  // The process ends here; its successor folds silently what it had folded, and then a request comes.
  const second = new Life();
  second.predict(1, true);
  expect(second.commit()).toEqual({ counts: [], losses: [] });
  second.predict(2);
  expect(second.commit()).toEqual({ counts: [{ of: 'predictions', isIdle: false }], losses: [] });
  second.predict(3);
  expect(second.commit()).toEqual({ counts: [], losses: [] });
});
