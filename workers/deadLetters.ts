import { parseArgs } from 'node:util';
import { registryConfigurationFrom } from '../contracts/configuration.js';
import type { DeadLetterFilter } from '../contracts/deadLetters.js';
import { TidemillError } from '../contracts/errors.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import { applyDecision, planDecision, type Decide } from '../streams/deadLetters/decideDeadLetters.js';
import { listDeadLetters, showDeadLetter } from '../streams/deadLetters/readDeadLetters.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';
import { openLog } from './openLog.js';

/**
 * Lists, shows, replays and discards dead letters of a project; prints one JSON value. Errors are one JSON object on standard
 * error.
 *
 *   node dist/workers/deadLetters.js list --code EVENT_MALFORMED --limit 20
 *   node dist/workers/deadLetters.js replay --ids 0-17,2-4 --by ann --reason "the clock was wrong" --plan
 */
async function main(): Promise<unknown> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      ids: { type: 'string' },
      topic: { type: 'string' },
      code: { type: 'string' },
      since: { type: 'string' },
      limit: { type: 'string' },
      by: { type: 'string', default: '' },
      reason: { type: 'string', default: '' },
      plan: { type: 'boolean', default: false },
    },
  });
  const { project, home, registry: address } = registryConfigurationFrom(process.env);
  const brokers = process.env['TIDEMILL_KAFKA'] ?? '';
  if (brokers === '') {
    throw new TidemillError('CONFIGURATION_INVALID', 'the environment variable TIDEMILL_KAFKA is not set', {
      variable: 'TIDEMILL_KAFKA',
    });
  }
  const filter: DeadLetterFilter = {
    ...(values.topic === undefined ? {} : { topic: values.topic }),
    ...(values.code === undefined ? {} : { code: values.code }),
    ...(values.since === undefined ? {} : { since: Number(values.since) }),
    ...(values.limit === undefined ? {} : { limit: Number(values.limit) }),
  };
  const ids = (values.ids ?? '').split(',').filter((id) => id !== '');
  const log = await openLog(brokers.split(','), 'dead-letters');
  try {
    const [action] = positionals;
    if (action === 'list') return await listDeadLetters(log, project, filter);
    if (action === 'show') return await showDeadLetter(log, project, ids[0] ?? '');
    if (action !== 'replay' && action !== 'discard')
      throw new TidemillError('CONFIGURATION_INVALID', `there is no action ${String(action)}`, { action });
    const generationOf = async (key: string): Promise<number> => {
      await requireRegistry({ registry: address, home });
      const registry = await openRegistry({ registry: address, project });
      return registry.generation(key).finally(() => registry.close());
    };
    const decide: Decide = {
      project,
      decision: action === 'replay' ? 'replayed' : 'discarded',
      which: ids.length > 0 ? { ids } : { filter },
      by: values.by,
      reason: values.reason,
      now: Date.now(),
      refusal: (topic) => refusalOfInternal(project, topic, generationOf),
    };
    return await (values.plan ? planDecision(log, decide) : applyDecision(log, decide));
  } finally {
    await log.close();
  }
}

/** Nobody reads the internal topics of a generation that was replaced: a replay into one would be lost. */
async function refusalOfInternal(
  project: string,
  topic: string,
  generationOf: (key: string) => Promise<number>,
): Promise<string | null> {
  if (!topic.startsWith(`${project}.`)) return null;
  const match = /^(.+)\.g(\d+)\.hop\.[^.]+$/.exec(topic.slice(project.length + 1));
  if (match === null) return null;
  const current = await generationOf(`${project}/${match[1]}`);
  return current === Number(match[2])
    ? null
    : `${match[1]} is at generation ${current}: nobody reads ${topic} any more`;
}

await answer(main);
