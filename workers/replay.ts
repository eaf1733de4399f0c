import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { TidemillError } from '../contracts/errors.js';
import type { ReplayProgress, ReplayReport } from '../contracts/replayReport.js';
import { compareOutputs, outputEnds } from '../streams/replay/compareOutputs.js';
import { dropReplay, replayTopology, switchReplay, type ReplayOptions } from '../streams/replay/replayTopology.js';
import { answer } from './answer.js';
import { inspectTopologies } from './inspectTopologies.js';
import { replayableName } from './replayable.js';
import { SnapshotChecker } from './snapshotChecker.js';
import { settingsOf, topologyNames } from './topologies.js';

/**
 * Replays one topology into a generation beside the running one, compares what both told, and switches to it or drops it;
 * prints one ReplayReport. How far it is stands on standard error meanwhile, a line of `{progress: ReplayProgress}` a second;
 * errors are one JSON object there. Started again after a crash it goes on.
 *
 *   node dist/workers/replay.js --topology window.spend-per-customer
 *   node dist/workers/replay.js --topology score --model fraud --from 2026-01-31T12:00:00Z --switch
 */
const NOTHING: ReplayProgress = { records: 0, eventTime: null, rate: 0, behind: 0, leftMs: null };

async function main(): Promise<ReplayReport> {
  const { values } = parseArgs({
    options: {
      topology: { type: 'string', default: '' },
      model: { type: 'string' },
      from: { type: 'string' },
      switch: { type: 'boolean', default: false },
      drop: { type: 'boolean', default: false },
    },
  });
  const name = replayableName(topologyNames(values.topology));
  const from = values.from === undefined ? null : timeFrom(values.from);
  return inspectTopologies(values.model, 'replay', async ({ log, registry, key, topology, archive, scorer, home }) => {
    const id = key(name);
    const current = await topology(name);
    if (values.drop) {
      const generation = await registry.replayGeneration(id);
      if (generation !== null) {
        await dropReplay(log, await topology(name, generation));
        await registry.endReplay(id, generation, 'drop');
      }
      return reportOf(current.identity, generation ?? current.identity.generation, NOTHING, [], 'dropped');
    }
    const next = await topology(name, await registry.issueReplay(id));
    const head = name === 'score' && values.model !== undefined ? await registry.deployment(values.model) : null;
    if (head !== null && scorer !== null) {
      await scorer.prepare(head);
      scorer.activate(head);
    }
    const snapshots = new SnapshotChecker();
    let sure = await outputEnds(log, current);
    const options: ReplayOptions = {
      log,
      current,
      next,
      from,
      runtime: {
        instance: 'replay',
        directory: join(home, 'streams'),
        archive,
        openSnapshots: snapshots.open,
        ...settingsOf(name),
        onEvent: (event) => {
          if (event.kind === 'historyLost') process.stderr.write(`${JSON.stringify({ lost: event })}\n`);
        },
      },
      beforeRound: async () => {
        sure = await outputEnds(log, current);
      },
      onProgress: (progress) => void process.stderr.write(`${JSON.stringify({ progress })}\n`),
    };
    try {
      const { generation } = next.identity;
      const progress = values.switch
        ? await switchReplay(options, () => registry.endReplay(id, generation, 'adopt'))
        : await replayTopology(options);
      const comparisons = await compareOutputs(log, { current, next }, await outputEnds(log, current), sure);
      return reportOf(current.identity, generation, progress, comparisons, values.switch ? 'switched' : 'replayed');
    } finally {
      snapshots.close();
    }
  });
}

function reportOf(
  running: { readonly name: string; readonly generation: number },
  replayed: number,
  progress: ReplayProgress,
  comparisons: ReplayReport['comparisons'],
  state: ReplayReport['state'],
): ReplayReport {
  return {
    topology: running.name,
    generation: { running: running.generation, replayed },
    progress,
    comparisons,
    state,
  };
}

function timeFrom(text: string): number {
  const at = Date.parse(text);
  if (!Number.isNaN(at)) return at;
  throw new TidemillError('USAGE_INVALID', `--from ${text} is no date like 2026-01-31T12:00:00Z`, {
    from: text,
  });
}

await answer(main);
