import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { projectConfigurationFrom, registryConfigurationFrom } from '../contracts/configuration.js';
import { DAY_MS } from '../contracts/duration.js';
import { isTidemillError } from '../contracts/errors.js';
import type { CheckReport, ModelPlan, TrafficReport } from '../contracts/planReport.js';
import type { CompiledModel } from '../models/definition.js';
import { BOUNDLESS, planPhases, planProblems } from '../models/gates/planCheck.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import type { DatasetManifest } from '../stores/offline/offlineStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';
import { loadProject } from './loadProject.js';

/**
 * Loads the definitions of a project, which checks them, and prints what a rollout of each model takes as one CheckReport.
 * Traffic that is not given is that of the dataset of the model's newest version, where there is one.
 *
 *   node dist/workers/checkProject.js [--requests-per-day 9600 --positive-share 0.0066]
 */
async function main(): Promise<CheckReport> {
  const { values } = parseArgs({
    options: { 'requests-per-day': { type: 'string' }, 'positive-share': { type: 'string' } },
  });
  const { project, projectModule } = projectConfigurationFrom(process.env);
  const { id, models } = await loadProject(projectModule);
  const [requests, share] = [values['requests-per-day'], values['positive-share']];
  const given: TrafficReport | null =
    requests === undefined || share === undefined
      ? null
      : { requestsPerDay: Number(requests), positiveShare: Number(share), from: 'options' };
  const measured = given === null ? await measuredTraffic(project ?? id, models) : new Map<string, TrafficReport>();
  return {
    project: project ?? id,
    models: models.map((model) => planOf(model, given ?? measured.get(model.name) ?? null)),
  };
}

function planOf(model: CompiledModel, traffic: TrafficReport | null): ModelPlan {
  const phases = planPhases(model, traffic ?? BOUNDLESS);
  const needMs = phases.reduce((sum, phase) => sum + phase.needMs, 0);
  return {
    model: model.name,
    traffic,
    phases: phases.map((phase) => ({
      phase: phase.phase,
      evidence: phase.evidence,
      days: daysOf(phase.needMs),
      atMostDays: phase.atMostMs / DAY_MS,
    })),
    days: daysOf(needMs),
    problems: planProblems(model, traffic ?? BOUNDLESS),
  };
}

/** JSON knows no Infinity. */
function daysOf(ms: number): number | null {
  return Number.isFinite(ms) ? ms / DAY_MS : null;
}

/** Labelled requests per day, and how many of them are positive, in the dataset of each model's newest version. */
async function measuredTraffic(
  project: string,
  models: readonly CompiledModel[],
): Promise<ReadonlyMap<string, TrafficReport>> {
  const found = new Map<string, TrafficReport>();
  const configuration = registryConfigurationFrom({ ...process.env, TIDEMILL_PROJECT_ID: project });
  try {
    await requireRegistry(configuration);
  } catch (error) {
    // Nothing has run here yet: there is nothing to measure.
    if (isTidemillError(error, 'CONFIGURATION_INVALID')) return found;
    throw error;
  }
  const registry = await openRegistry(configuration);
  const objects = openDiskObjectStore(join(configuration.home, 'objects'));
  try {
    for (const { name } of models) {
      const newest = (await registry.versions(name)).at(-1);
      if (newest === undefined) continue;
      const { uri, sha256 } = newest.dataset;
      const manifest = await objects.get(uri, sha256).then(
        (bytes) => JSON.parse(bytes.toString('utf8')) as DatasetManifest,
        // The version was made where these objects are not.
        (error: unknown) => {
          if (isTidemillError(error, 'OBJECT_NOT_FOUND')) return null;
          throw error;
        },
      );
      if (manifest === null || manifest.rows === 0) continue;
      const { rows, positives, window } = manifest;
      found.set(name, {
        requestsPerDay: Math.round((rows / (window.to - window.from)) * DAY_MS),
        positiveShare: Number((positives / rows).toPrecision(3)),
        from: `dataset of version ${newest.version}`,
      });
    }
    return found;
  } finally {
    await registry.close();
  }
}

await answer(main);
