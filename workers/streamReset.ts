import { parseArgs } from 'node:util';
import { TidemillError } from '../contracts/errors.js';
import type { ResetStart, TopologyReset } from '../contracts/topologyReset.js';
import { planReset, resetTopology } from '../streams/runtime/resetTopology.js';
import { answer } from './answer.js';
import { inspectTopologies } from './inspectTopologies.js';
import { topologyNames } from './topologies.js';

/**
 * Resets one topology of a model, or says what that would do; prints one TopologyReset. Errors are one JSON object on
 * standard error.
 *
 *   node dist/workers/streamReset.js --topology score --model fraud --to earliest --plan
 */
async function main(): Promise<TopologyReset> {
  const { values } = parseArgs({
    options: {
      topology: { type: 'string', default: '' },
      model: { type: 'string' },
      to: { type: 'string', default: 'committed' },
      plan: { type: 'boolean', default: false },
    },
  });
  const [name, ...others] = topologyNames(values.topology);
  if (name === undefined || others.length > 0)
    throw new TidemillError('USAGE_INVALID', 'one topology is reset at a time', { topology: values.topology });
  const start = startFrom(values.to);
  return inspectTopologies(values.model, 'stream-reset', async ({ log, registry, key, topology }) => {
    const current = await topology(name);
    const target = { current, next: await topology(name, await registry.nextGeneration(key(name))) };
    if (values.plan) return planReset(log, target, start);
    return resetTopology(log, target, start, () => registry.issueGeneration(key(name)));
  });
}

function startFrom(text: string): ResetStart {
  if (text === 'committed' || text === 'earliest' || text === 'latest') return { kind: text };
  const at = Date.parse(text);
  if (!Number.isNaN(at)) return { kind: 'time', at };
  throw new TidemillError(
    'USAGE_INVALID',
    `--to ${text} is neither committed, earliest, latest nor a date like 2026-01-31T12:00:00Z`,
    { to: text },
  );
}

await answer(main);
