import { parseArgs } from 'node:util';
import { configurationFrom } from '../contracts/configuration.js';
import { viewOf } from '../models/project.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import { answer } from './answer.js';
import { loadProject } from './loadProject.js';
import { generationKey } from './topologies.js';
import { requireRegistry } from './inspectTopologies.js';

/**
 * Issues the next generation of a view; prints `{view, generation}`. Workers that run go on with theirs; those that start from
 * now on build the new one beside it. Errors are one JSON object on standard error.
 *
 *   node dist/workers/featuresRebuild.js --view=customer_spending
 */
async function main(): Promise<{ readonly view: string; readonly generation: number }> {
  const { values } = parseArgs({ options: { view: { type: 'string', default: '' } } });
  const configuration = configurationFrom(process.env);
  const view = viewOf(await loadProject(configuration.projectModule), values.view);
  await requireRegistry(configuration);
  const registry = await openRegistry(configuration);
  try {
    const key = generationKey(configuration.project, 'materialize', view.name);
    return { view: view.name, generation: await registry.issueGeneration(key) };
  } finally {
    await registry.close();
  }
}

await answer(main);
