import { EventEmitter } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Kafka } from 'kafkajs';
import { expect, test, vi } from 'vitest';
import { joinGroup } from '../../../../stores/log/kafkaGroup.js';

/** As much of the client as a group touches: it counts how often it was run, and crashes when it is told to. */
class FakeClient extends EventEmitter {
  runs = 0;
  disconnects = 0;
  refusals: Error[] = [];

  consumer(): unknown {
    return {
      events: { GROUP_JOIN: 'join', HEARTBEAT: 'beat', END_BATCH_PROCESS: 'end', CRASH: 'crash' },
      on: (event: string, listener: (payload: unknown) => void) => this.on(event, listener),
      connect: () => {
        const refusal = this.refusals.shift();
        return refusal === undefined ? Promise.resolve() : Promise.reject(refusal);
      },
      subscribe: () => Promise.resolve(),
      run: () => {
        this.runs++;
        return Promise.resolve();
      },
      disconnect: () => {
        this.disconnects++;
        return Promise.resolve();
      },
    };
  }

  crash(name: string, message: string, restart: boolean): void {
    this.emit('crash', { payload: { error: Object.assign(new Error(message), { name }), restart } });
  }
}

async function joined(
  client: FakeClient,
): Promise<{ readonly errors: unknown[]; readonly leave: () => Promise<void> }> {
  const errors: unknown[] = [];
  const member = await joinGroup(client as unknown as Kafka, {
    group: 'g',
    topics: ['t'],
    memberName: 'm',
    taskOf: () => 'task',
    onAssigned: () => undefined,
    onRecords: () => undefined,
    onPosition: () => undefined,
    onError: (error) => errors.push(error),
  });
  return { errors, leave: () => member.leave() };
}

test('a group that the client gave up while no broker answered is joined again, until it can be', async () => {
  const client = new FakeClient();
  const { errors, leave } = await joined(client);
  client.refusals = [Object.assign(new Error('connect ECONNREFUSED'), { name: 'KafkaJSConnectionError' })];
  client.crash('KafkaJSGroupCoordinatorNotFound', 'Failed to find group coordinator', false);
  await vi.waitFor(() => expect(client.runs).toBe(2), 20_000);
  expect(errors).toEqual([]);
  client.crash('KafkaJSGroupCoordinatorNotFound', 'Failed to find group coordinator', false);
  await leave();
  // Longer than the pause before the next attempt.
  await sleep(1_500);
  expect(client.runs).toBe(2);
});

test('a crash that the client mends is left to it, and one that does not pass is told', async () => {
  const client = new FakeClient();
  const { errors } = await joined(client);
  client.crash('KafkaJSNumberOfRetriesExceeded', 'Connection error', true);
  client.crash('KafkaJSNonRetriableError', 'Unsupported', false);
  await vi.waitFor(() => expect(errors).toHaveLength(1));
  expect(client.runs).toBe(1);
});

test('a group that cannot be joined is left: no connection stays behind', async () => {
  const client = new FakeClient();
  client.refusals = [Object.assign(new Error('connect ECONNREFUSED'), { name: 'KafkaJSConnectionError' })];
  await expect(joined(client)).rejects.toMatchObject({ code: 'LOG_UNAVAILABLE' });
  expect(client.disconnects).toBe(1);
  // Nor does anything join it later on.
  client.crash('KafkaJSGroupCoordinatorNotFound', 'Failed to find group coordinator', false);
  await sleep(1_500);
  expect(client.runs).toBe(0);
});
