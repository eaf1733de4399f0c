import { groupId } from '../../contracts/topics.js';
import type { OutgoingRecord, TransactionalProducer } from '../../stores/log/log.js';
import { encodeFiredThrough } from './taskTimers.js';
import type { TaskContext } from './taskContext.js';
import type { Input, TaskInputs } from './taskInputs.js';
import type { Output, StreamTask } from './topology.js';

/** Outputs of one transaction, held until it commits. */
export class TransactionOutputs {
  records: OutgoingRecord[] = [];
  bytes = 0;

  emit(record: OutgoingRecord): void {
    this.records.push(record);
    this.bytes += (record.value?.length ?? 0) + (record.key?.length ?? 0) + 64;
  }

  take(): OutgoingRecord[] {
    const { records } = this;
    this.records = [];
    this.bytes = 0;
    return records;
  }
}

/**
 * One transaction: outputs and input offsets become visible together, or not at all.
 *
 *   1. drain: what is not part of the fold (scoring) is done for all folded rows
 *   2. flush: blocks being filled become records
 *   3. begin, and send the outputs; the transaction is open for as short as that
 *   4. send the offsets of everything folded, and with them the time up to which timers were fired
 *   5. commit
 *   6. the task may forget what the committed watermark no longer needs
 *
 * A failure of 3 to 5 leaves it unknown whether the transaction happened: the caller drops producer and state and
 * recovers, which finds out.
 */
export async function commit(
  context: TaskContext,
  producer: TransactionalProducer,
  task: StreamTask,
  inputs: TaskInputs,
  outputs: TransactionOutputs,
  output: Output,
): Promise<ReadonlyMap<string, number>> {
  const { options, topology } = context;
  // 1 drain, 2 flush
  const byName = await finishOutputs(task, inputs, output);
  const metadata = encodeFiredThrough(task.timers?.firedThrough);
  const offsets = inputs.inputs.map(({ topic, partition, name }) => ({
    topic,
    partition,
    offset: byName.get(name) as number,
    metadata,
  }));
  const records = outputs.take();
  const startedAt = performance.now();
  // 3 outputs
  options.reach?.('before-begin', context.id);
  await producer.begin();
  options.reach?.('after-begin', context.id);
  await producer.send(records);
  options.reach?.('after-outputs', context.id);
  // 4 offsets
  await producer.sendOffsets(groupId(topology.identity), offsets);
  options.reach?.('after-offsets', context.id);
  // 5 commit
  await producer.commit();
  context.counters.countCommitted(records);
  options.onCommit?.(topology, (performance.now() - startedAt) / 1_000);
  options.reach?.('after-commit', context.id);
  // 6 forget
  task.committed(byName);
  return byName;
}

/** Sends what has been folded before its commit, where nothing waits for a transaction: steps 1 to 3 by themselves. */
export async function sendEarly(
  context: TaskContext,
  producer: TransactionalProducer,
  task: StreamTask,
  inputs: TaskInputs,
  outputs: TransactionOutputs,
  output: Output,
): Promise<void> {
  await finishOutputs(task, inputs, output);
  const records = outputs.take();
  await producer.send(records);
  context.counters.countCommitted(records);
}

/** Steps 1 and 2; gives where each input goes on after what is folded, by partition name. */
async function finishOutputs(
  task: StreamTask,
  inputs: TaskInputs,
  output: Output,
): Promise<ReadonlyMap<string, number>> {
  await task.drain(output);
  const offsets = new Map(inputs.inputs.map((input: Input) => [input.name, inputs.nextOffset(input)]));
  task.flush(output, offsets, inputs.pace());
  return offsets;
}
