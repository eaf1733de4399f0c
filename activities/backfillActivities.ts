import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Context } from '@temporalio/activity';
import { TidemillError } from '../contracts/errors.js';
import type {
  BackfilledPart,
  BackfillInput,
  BackfillPart,
  BackfillPlan,
  BackfillSource,
} from '../contracts/features.js';
import { backfillParts, checkBackfillInput } from '../contracts/schemas/backfillInput.js';
import { streamTopic } from '../contracts/topics.js';
import type { CompiledService, CompiledView } from '../features/compiledView.js';
import { canonicalJson, hashOf } from '../features/hash.js';
import { archiveFiles } from './dataset/archiveFiles.js';
import { awaitArchive } from './dataset/awaitArchive.js';
import type { ActivityDependencies } from './dependencies.js';
import { withFailures } from './failures.js';

type FileList = readonly { readonly uri: string; readonly sha256: string }[];

/** The history of a view, in parts that know nothing of each other. */
export function createBackfillActivities(dependencies: ActivityDependencies) {
  const { log, objects, offline, project, viewOf } = dependencies;
  return withFailures({
    /** Refuses an input that is not what the workflow takes, and a view that the project does not have. */
    async validateBackfill(input: unknown): Promise<BackfillInput> {
      const checked = checkBackfillInput(input);
      viewOf(checked.view);
      return Promise.resolve(checked);
    },

    /** Fixes the view, the events that count and the parts: whatever comes in later is another backfill's. */
    async planBackfill(input: BackfillInput): Promise<BackfillPlan> {
      const { name, hash, stream } = viewOf(input.view);
      const topic = streamTopic(project, stream.name);
      const offsets = await awaitArchive(log, project, [topic], name);
      const archived = (await archiveFiles(log, project)).get(topic);
      const list: FileList = archived?.files ?? [];
      const stored = await objects.put('backfills', 'json', Buffer.from(canonicalJson(list)));
      const files = { uri: stored.uri, sha256: stored.sha256 };
      return { view: name, hash, upTo: offsets[topic] ?? {}, files, parts: backfillParts(input) };
    },

    /** Computes one part; repeated, it gives the same rows. */
    async backfillPart(plan: BackfillSource, part: BackfillPart): Promise<BackfilledPart> {
      const context = Context.current();
      const view = viewOf(plan.view);
      if (view.hash !== plan.hash) {
        throw new TidemillError(
          'INPUTS_CHANGED',
          `view ${plan.view} is ${view.hash.slice(0, 12)} here, the backfill is of ${plan.hash.slice(0, 12)}`,
          { view: plan.view, planned: plan.hash, found: view.hash },
        );
      }
      const beat = setInterval(() => context.heartbeat(), 1_000);
      const folder = await mkdtemp(join(tmpdir(), 'tidemill-backfill-'));
      try {
        const list = JSON.parse((await objects.get(plan.files.uri, plan.files.sha256)).toString('utf8')) as FileList;
        const paths = await Promise.all(list.map(({ uri, sha256 }) => objects.localPath(uri, sha256)));
        const table = await offline.computeVectors({
          service: historyOf(view),
          files: { [view.stream.name]: paths },
          from: part.from,
          to: part.to,
          entity: view.key,
          share: { field: view.key, of: part.shares, at: part.share },
          output: join(folder, 'part.parquet'),
        });
        if (table.rows === 0) return { rows: 0, file: null };
        const { uri, sha256 } = await objects.putFile(`features/${view.name}`, 'parquet', table.file);
        return { rows: table.rows, file: { uri, sha256 } };
      } finally {
        clearInterval(beat);
        await rm(folder, { recursive: true, force: true });
      }
    },
  });
}

/** The view as the service of its own events: what a request that is the event would have seen. */
function historyOf(view: CompiledView): CompiledService {
  const definition: Omit<CompiledService, 'hash'> = {
    kind: 'service',
    name: view.name,
    request: view.stream,
    inputs: [{ kind: 'view', view, requestKey: view.key }],
    columns: view.features.map(({ name, type }, feature) => ({ name, type, input: 0, feature })),
  };
  return { ...definition, hash: hashOf(definition) };
}
