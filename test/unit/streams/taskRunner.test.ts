import { expect, test } from 'vitest';
import { TidemillError } from '../../../contracts/errors.js';
import { logOfOne, NotingMember, startedRunner } from '../../support/startedRunner.js';

test('a task that is assigned again before its first record is there reads on from where it began', async () => {
  const member = new NotingMember();
  const { scheduler, runner, fatal } = await startedRunner(await logOfOne(1), member);
  expect(member.seeks).toEqual([0]);
  // Everything is paused again until it is told where to read.
  runner.reassigned(2);
  expect(member.seeks).toEqual([0, 0]);
  await scheduler.until(runner.stop());
  expect(fatal).toEqual([]);
});

test('a task that waits to be confirmed by a group that is silent can be stopped', async () => {
  const inner = await logOfOne(0);
  const log = Object.assign(Object.create(inner) as typeof inner, {
    transactionalProducer: () => Promise.reject(new TidemillError('PRODUCER_FENCED', 'a successor took over')),
  });
  const member = new NotingMember();
  // No heartbeat is answered any more.
  member.confirmAssigned = () => new Promise(() => undefined);
  const { scheduler, runner, fatal } = await startedRunner(log, member);
  // News of its inputs confirms nothing.
  runner.reconsider();
  await scheduler.rest();
  expect(runner.status.state).toBe('recovering');
  await scheduler.until(runner.stop());
  expect(runner.status.state).toBe('stopped');
  expect(fatal).toEqual([]);
});
