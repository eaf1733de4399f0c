import { Context } from '@temporalio/activity';
import { TidemillError } from '../contracts/errors.js';
import type { ReadyFeatures } from '../contracts/features.js';
import type { CompiledService } from '../features/compiledView.js';
import { inputIdentity, viewIdentity } from '../features/vectorLayout.js';
import { serviceOfVersion } from '../scoring/versionServices.js';
import type { Fence, InstanceLease } from '../stores/registry/registry.js';
import type { ActivityDependencies } from './dependencies.js';
import { deploymentChanges } from './deploymentChanges.js';
import { withFailures } from './failures.js';
import { parityOf } from './features/parity.js';
import { journaled } from './journal.js';

/** Instances that do not say how far they are for so long are not waited for. */
const SILENCE_MS = 120_000;
const LOOK_MS = 200;

/** The features of a version: computed by every live instance, and computed right. */
export function createFeatureActivities(dependencies: ActivityDependencies) {
  const { registry, objects, modelOf } = dependencies;
  const { change } = deploymentChanges(dependencies);

  return withFailures({
    /**
     * 1 what the version reads that the champion does not; 2 every live instance computes it, up to where it answers: one
     * that does not is told by the deployment to prepare the version, plans itself anew and builds the views from the log;
     * 3 vectors that instances computed for real requests equal the interpreter's within the requests' cuts.
     *
     * The evidence of 3 is what instances write beside their predictions: it is exact whatever is late or in flight, and it
     * covers every step from the log to the vector. Comparing states key by key would take their state at a known offset,
     * and would show nothing of how requests look it up.
     *
     * @throws TidemillError FEATURES_NOT_READY, FEATURES_DIFFER, FENCED
     */
    async readyFeatures(fence: Fence, version: number): Promise<ReadyFeatures> {
      return journaled(dependencies, fence, 'readyFeatures', { version }, async () => {
        // 1
        const model = modelOf(fence.model);
        const found = await registry.version(fence.model, version);
        const isOwn = found === null || found.service === model.service.hash;
        const service = isOwn ? model.service : await serviceOfVersion({ registry, objects }, model, version);
        const champion = (await registry.deployment(fence.model))?.champion ?? null;
        const served = champion === null ? null : await registry.version(fence.model, champion);
        const ready = (rest: Omit<ReadyFeatures, 'service'>): ReadyFeatures => ({ service: service.hash, ...rest });
        if (served?.service === service.hash)
          return ready({ added: [], instances: [], parity: null, reason: 'the inputs are those of the champion' });
        const added = await addedViews(fence.model, service, champion);
        // 2
        const instances = await awaitComputed(fence, version, service, champion !== null);
        if (instances.length === 0)
          return ready({ added, instances, parity: null, reason: 'inconclusive: nobody is live' });
        // 3
        const parity = await parityOf(dependencies, model, service, champion !== null);
        return ready({
          added,
          instances,
          parity,
          reason:
            parity.rows === 0
              ? 'there is no champion, and no request yet'
              : `computed by ${instances.length} instances; ${parity.rows} vectors equal the interpreter’s`,
        });
      });
    },
  });

  async function addedViews(name: string, service: CompiledService, champion: number | null): Promise<string[]> {
    const before = champion === null ? null : await registry.version(name, champion);
    const known = Object.values(before?.lineage.views ?? {});
    return service.inputs.filter(({ view }) => !known.includes(view.hash)).map(({ view }) => view.name);
  }

  /** Waits as long as something goes on; the live set is read anew each time. */
  async function awaitComputed(
    fence: Fence,
    version: number,
    service: CompiledService,
    isChange: boolean,
  ): Promise<string[]> {
    const context = Context.current();
    let isTold = false;
    let last = '';
    let since = performance.now();
    for (;;) {
      const live = await registry.liveInstances(fence.model);
      const behind = live.filter((instance) => !computes(instance, service, isChange));
      if (behind.length === 0) return live.map(({ instance }) => instance);
      const lacking = behind.filter((instance) => missingOf(instance, service).length > 0);
      if (lacking.length > 0 && !isTold) {
        await change(fence, 'readyFeatures', { prepare: version }, `version ${version} reads other views`, null);
        isTold = true;
      }
      context.heartbeat({
        live: live.length,
        behind: behind.map(({ instance, features }) => ({ instance, ...features })),
      });
      const now = JSON.stringify(behind.map(({ instance, features, problem }) => [instance, features, problem]));
      if (now !== last) [last, since] = [now, performance.now()];
      if (performance.now() - since > SILENCE_MS) throw notReady(fence.model, version, behind, service);
      await context.sleep(LOOK_MS);
    }
  }
}

/** Views that an instance does not say it computes. */
function missingOf({ features }: InstanceLease, service: CompiledService): string[] {
  return service.inputs.filter(({ view }) => features?.views.includes(viewIdentity(view)) !== true).map(inputName);
}

function inputName(input: CompiledService['inputs'][number]): string {
  return `${input.view.name} (${inputIdentity(input)})`;
}

function computes(instance: InstanceLease, service: CompiledService, isChange: boolean): boolean {
  // Who scores no stream computes no view; of one that does and says nothing, only an unchanged service is believed.
  if (instance.kind !== 'stream') return true;
  if (instance.features === undefined) return !isChange;
  return missingOf(instance, service).length === 0 && instance.features.recovering === 0;
}

function notReady(
  model: string,
  version: number,
  behind: readonly InstanceLease[],
  service: CompiledService,
): TidemillError {
  const reasons = behind.map((instance) => {
    const missing = missingOf(instance, service);
    const why = missing.length > 0 ? `lacks ${missing.join(', ')}` : 'is still being recovered';
    return `${instance.instance} ${why}${instance.problem === null ? '' : ` (${instance.problem})`}`;
  });
  return new TidemillError('FEATURES_NOT_READY', `version ${version} of ${model}: ${reasons.join('; ')}`, {
    model,
    version,
    behind: reasons,
  });
}
