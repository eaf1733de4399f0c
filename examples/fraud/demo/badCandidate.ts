import type { LifecycleClient } from '../../../client/lifecycleClient.js';
import { UPDATE_PAUSE } from '../../../contracts/rollout.js';
import { lifecycleId, type Paused } from '../../../contracts/workflows.js';
import type { Verdict } from '../../../models/gates/verdict.js';
import type { Registry } from '../../../stores/registry/registry.js';
import type { Timeline } from './timeline.js';

/** What became of a candidate that only the live stream shows to be bad; `--bad --json` writes it. */
export interface BadCandidate {
  readonly version: number | null;
  /** The guard that decided, its number with its interval, and the margin that it had to stay below. */
  readonly gate: string | null;
  readonly value: number | null;
  readonly low: number | null;
  readonly high: number | null;
  readonly margin: number | null;
  /** Requests that it rests on. */
  readonly requests: number;
  /** `taken back`: it failed in its canary, was rejected, and the champion serves alone as before. */
  readonly outcome: 'taken back' | 'not taken back';
}

/**
 * Has a candidate trained and rolled out that passes its gates offline and fails in its canary, and tells what decided.
 * The lifecycle worker must run `rescaledProject`, and requests must go on until this resolves.
 */
export async function rollOutBadCandidate(options: {
  readonly lifecycle: LifecycleClient;
  readonly registry: Registry;
  readonly model: string;
  readonly timeline: Timeline;
}): Promise<BadCandidate> {
  const { lifecycle, registry, model, timeline } = options;
  // Nothing is to start by itself from here on: the variant is not what should be trained on the next drift.
  const handle = lifecycle.temporal.workflow.getHandle(lifecycleId(lifecycle.project, model));
  await handle.executeUpdate<Paused, [Paused]>(UPDATE_PAUSE, {
    args: [{ by: 'demo', reason: 'a candidate is tried that should be taken back' }],
  });
  const before = (await registry.deployment(model))?.champion ?? null;
  const workflowId = await lifecycle.startRetrain(
    { model, trigger: { kind: 'manual', reason: 'few, deep trees' } },
    'rescaled',
  );
  const result = await lifecycle.retrainResult(workflowId);
  if (result.outcome === 'refused') throw new Error(`the candidate was refused: ${result.reason}`);
  const evidence = await registry.evidence(model, result.token);
  const offline = evidence.map((each) => each.evidence as Verdict).filter(({ kind }) => kind !== 'operational');
  const deciding = evidence
    .filter(({ gate }) => gate.startsWith('canary/'))
    .map((each) => each.evidence as Verdict)
    .find(({ verdict }) => verdict === 'fail');
  const head = await registry.deployment(model);
  const { version } = result;
  const status = version === null ? null : (await registry.version(model, version))?.status;
  const isBack =
    result.outcome === 'notPromoted' &&
    deciding !== undefined &&
    status === 'rejected' &&
    head?.champion === before &&
    head.mode === 'single';
  timeline.say(`offline version ${version} passed: ${offline.map(({ gate }) => gate).join(', ')}`);
  if (deciding !== undefined) timeline.say(`in its canary ${deciding.gate}: ${deciding.reason}`);
  timeline.say(`version ${version} is ${status}; version ${head?.champion} serves alone, in epoch ${head?.epoch}`);
  return {
    version,
    gate: deciding?.gate ?? null,
    value: deciding?.value ?? null,
    low: deciding?.low ?? null,
    high: deciding?.high ?? null,
    margin: deciding?.bound ?? null,
    requests: deciding?.rows ?? 0,
    outcome: isBack ? 'taken back' : 'not taken back',
  };
}
