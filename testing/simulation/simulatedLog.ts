import { transactionalId, type TopologyIdentity } from '../../contracts/topics.js';
import type { Log, TransactionalProducer } from '../../stores/log/log.js';
import type { LogCall, PlannedFaults } from './faults.js';
import type { Life } from './life.js';
import type { Scheduler } from './scheduler.js';
import { SimulatedMember } from './simulatedMember.js';

/**
 * The log as one topology of one process sees it: every call is two steps, the request and its answer, and may fail as
 * planned, done or not done.
 */
export function simulatedLog(
  log: Log,
  scheduler: Scheduler,
  faults: PlannedFaults,
  life: Life,
  identity: TopologyIdentity,
): Log {
  const call = async <T>(name: LogCall, task: string | null, run: () => Promise<T>): Promise<T> => {
    const label = `${identity.name}${task === null ? '' : ` ${task}`} ${name}`;
    await scheduler.point(life, label);
    const failure = faults.take(life, identity.name, name, task);
    if (failure !== null && !failure.isApplied) throw failure.error;
    const result = await run();
    await scheduler.point(life, `${label} answered`);
    if (failure !== null) throw failure.error;
    return result;
  };
  const prefix = transactionalId(identity, '');

  const transactionalProducer = async (id: string): Promise<TransactionalProducer> => {
    const task = id.slice(prefix.length);
    const producer = await call('transactionalProducer', task, () => log.transactionalProducer(id));
    return {
      begin: () => call('begin', task, () => producer.begin()),
      send: (records) => call('send', task, () => producer.send(records)),
      sendOffsets: (group, offsets) => call('sendOffsets', task, () => producer.sendOffsets(group, offsets)),
      commit: () => call('commit', task, () => producer.commit()),
      abort: () => producer.abort(),
      close: () => producer.close(),
    };
  };

  const simulated: Partial<Log> = {
    ensureTopics: (topics) => call('ensureTopics', null, () => log.ensureTopics(topics)),
    partitionCount: (topic) => call('partitionCount', null, () => log.partitionCount(topic)),
    offsets: (topic) => call('offsets', null, () => log.offsets(topic)),
    committed: (group, partitions) => call('committed', null, () => log.committed(group, partitions)),
    transactionalProducer,
    join: async (options) => {
      const member = new SimulatedMember(log, scheduler, life, options);
      life.members.push(member);
      await call('join', null, () => member.join());
      return member;
    },
  };
  // What the runtime reads besides is read at once.
  return Object.assign(Object.create(log) as Log, simulated);
}
