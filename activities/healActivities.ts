import { Context } from '@temporalio/activity';
import { TidemillError } from '../contracts/errors.js';
import type { HealedEvents, HealedPart, HealInput, HealPart, HealPlan, HealSource } from '../contracts/healing.js';
import { checkHealInput } from '../contracts/schemas/healInput.js';
import type { CompiledView } from '../features/compiledView.js';
import { openArchivedInput } from '../stores/archive/archivedInput.js';
import { checkpointOf } from './checkpoint.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';
import { awaitCorrections } from './healing/awaitCorrections.js';
import { healPart } from './healing/healPart.js';
import { planHealing } from './healing/planHealing.js';
import type { StreamSource } from './healing/streamPart.js';

/** Healing of the online store: events of a view's stream that it lacks become corrections. */
export function createHealActivities(dependencies: ActivityDependencies) {
  const { log, objects, offline, online, project, viewOf, reach } = dependencies;
  const sourceOf = ({ stream }: CompiledView): StreamSource => ({
    log,
    project,
    stream,
    archive: openArchivedInput({ log, objects, offline: () => Promise.resolve(offline), project, streams: [stream] }),
  });
  const plannedView = ({ view: name, hash }: Pick<HealSource, 'view' | 'hash'>): CompiledView => {
    const view = viewOf(name);
    if (view.hash === hash) return view;
    throw new TidemillError(
      'INPUTS_CHANGED',
      `view ${name} is ${view.hash.slice(0, 12)} here, the healing is of ${hash.slice(0, 12)}`,
      { view: name, planned: hash, found: view.hash },
    );
  };
  /** Beats for as long as an activity runs, and ends it where it is cancelled. */
  const working = async <T>(work: (checkpoint: () => Promise<void>) => Promise<T>): Promise<T> => {
    const context = Context.current();
    const beat = setInterval(() => context.heartbeat(), 1_000);
    const checkpoint = checkpointOf(context, () => undefined);
    try {
      return await work(() => checkpoint(0));
    } finally {
      clearInterval(beat);
    }
  };
  return withFailures({
    /** @throws TidemillError INPUT_INVALID; DEFINITION_INVALID for a view that the project does not have. */
    async validateHeal(input: unknown): Promise<HealInput> {
      const checked = checkHealInput(input);
      viewOf(checked.view);
      return Promise.resolve(checked);
    },

    /** Fixes what is compared: up to what the online store has now. */
    async planHeal(input: HealInput): Promise<HealPlan> {
      const view = viewOf(input.view);
      return planHealing(sourceOf(view), view, online(), input);
    },

    /** Compares one part and writes what is lacking; repeated, it writes nothing twice. */
    async healPart(plan: HealSource, part: HealPart, newestBefore: number | null): Promise<HealedPart> {
      const view = plannedView(plan);
      return working((checkpoint) =>
        healPart(
          { source: sourceOf(view), view, store: online(), checkpoint, ...(reach === undefined ? {} : { reach }) },
          plan,
          part,
          newestBefore,
        ),
      );
    },

    /** Waits until the corrections are in the online store, and counts those of this healing. */
    async awaitCorrections(
      plan: Pick<HealSource, 'view' | 'hash'>,
      from: HealPlan['corrections'],
    ): Promise<HealedEvents> {
      const view = plannedView(plan);
      return working((checkpoint) => awaitCorrections({ log, project, view, store: online(), checkpoint }, from));
    },
  });
}
