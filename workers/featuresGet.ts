import { parseArgs } from 'node:util';
import { configurationFrom } from '../contracts/configuration.js';
import { TidemillError } from '../contracts/errors.js';
import type { OnlineFeatures } from '../contracts/onlineFeatures.js';
import type { Value, ValueType } from '../features/types.js';
import { viewOf } from '../models/project.js';
import { FeatureReader } from '../stores/online/featureReader.js';
import { openOnlineStore } from '../stores/online/openOnlineStore.js';
import { answer } from './answer.js';
import { loadProject } from './loadProject.js';

/**
 * Reads the features of one key from the online store; prints one OnlineFeatures. Errors are one JSON object on standard
 * error.
 *
 *   node dist/workers/featuresGet.js --view=customer_spending --key=4711 --at=2026-01-31T12:00:00Z
 */
async function main(): Promise<OnlineFeatures> {
  const { values } = parseArgs({
    options: { view: { type: 'string', default: '' }, key: { type: 'string', default: '' }, at: { type: 'string' } },
  });
  const { project, projectModule, online } = configurationFrom(process.env);
  const view = viewOf(await loadProject(projectModule), values.view);
  const key = keyFrom(view.entity.type, values.key);
  const at = timeFrom(values.at);
  const store = openOnlineStore(online);
  try {
    const [found] = await new FeatureReader({ project, view, store }).read([key], at);
    return found as OnlineFeatures;
  } finally {
    await store.close();
  }
}

/** A key as its entity's type holds it. */
function keyFrom({ kind }: ValueType, text: string): Value {
  if (kind === 'string') return text;
  if (kind === 'bool' && (text === 'true' || text === 'false')) return text === 'true';
  const value = /^-?\d+$/.test(text) ? Number(text) : Number.NaN;
  if (kind !== 'bool' && Number.isSafeInteger(value)) return value;
  throw new TidemillError('USAGE_INVALID', `the key ${JSON.stringify(text)} is no ${kind}`, { key: text, kind });
}

function timeFrom(text: string | undefined): number {
  if (text === undefined) return Date.now();
  const time = /^\d+$/.test(text) ? Number(text) : Date.parse(text);
  if (Number.isSafeInteger(time)) return time;
  throw new TidemillError('USAGE_INVALID', `--at ${text} is no time`, { at: text });
}

await answer(main);
