import { parseArgs } from 'node:util';
import { applySchedules } from '../client/applySchedules.js';
import { LifecycleClient } from '../client/lifecycleClient.js';
import { ensureSearchAttributes, missingSearchAttributes } from '../client/searchAttributes.js';
import { projectConfigurationFrom } from '../contracts/configuration.js';
import type { ApplyReport } from '../contracts/schedules.js';
import { answer } from './answer.js';
import { loadProject } from './loadProject.js';

/**
 * Sets up on the Temporal server what a project declares, and prints what that changed as one ApplyReport. Errors are one
 * JSON object on standard error.
 *
 *   node dist/workers/applyProject.js [--plan]
 */
async function main(): Promise<ApplyReport> {
  const { values } = parseArgs({ options: { plan: { type: 'boolean', default: false } } });
  const configuration = projectConfigurationFrom(process.env);
  const { id, models } = await loadProject(configuration.projectModule);
  const project = configuration.project ?? id;
  const client = await LifecycleClient.connect({
    address: configuration.temporalAddress,
    namespace: configuration.temporalNamespace,
    project,
  });
  try {
    const { temporal } = client;
    const searchAttributes = values.plan
      ? await missingSearchAttributes(temporal)
      : // First of all: a schedule may start a workflow as soon as it is there.
        await ensureSearchAttributes(temporal);
    const schedules = await applySchedules(temporal, project, models, !values.plan);
    return { project, applied: !values.plan, schedules, searchAttributes };
  } finally {
    await client.close();
  }
}

await answer(main);
