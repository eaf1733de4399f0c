import type { CutRecord, PredictionRecord } from '../../contracts/records.js';
import { cutsTopic, streamTopic } from '../../contracts/topics.js';
import type { CompiledService, CompiledStream, CompiledView } from '../../features/compiledView.js';
import { createKeyFilter, type KeyFilter } from './keyFilter.js';
import type { LoggedEvent } from '../../features/types.js';
import type { CompiledModel } from '../../models/definition.js';
import { OutcomeRules, type ExpectedRecord } from '../audit/expectedOutcomes.js';
import type { VectorSource } from '../audit/compareVectors.js';
import { jsonOf } from '../audit/readTopic.js';
import { archiveFiles } from '../dataset/archiveFiles.js';
import type { ActivityDependencies } from '../dependencies.js';

type Parts = Pick<ActivityDependencies, 'log' | 'project' | 'objects' | 'offline'>;
type Outcome = Pick<ExpectedRecord, 'event' | 'outcome'>;

/**
 * What is needed to recompute a sample of predictions: the events of their keys alone, from the log, and from the archive
 * where the log has let go of them. Everything is read once; only what is asked for is kept.
 *
 * @param onRead called now and then.
 */
export function sampleSource(
  parts: Parts,
  model: CompiledModel,
  services: readonly CompiledService[],
  sample: readonly PredictionRecord[],
  onRead: () => void,
): VectorSource {
  const { log, project } = parts;
  const views = services.flatMap(({ inputs }) => inputs.flatMap((input) => (input.kind === 'view' ? [input] : [])));
  let keys: Promise<KeyFilter> | null = null;
  return {
    outcomes: async (stream) => {
      keys ??= createKeyFilter(log, model, sample, views);
      const filter = await keys;
      const read: CompiledView[] = views.map(({ view }) => view).filter((view) => view.stream.hash === stream.hash);
      const isWanted = (event: LoggedEvent): boolean =>
        (stream.name === model.request.name && filter.isRequest(event)) ||
        read.some((view) => filter.isOfKey(view, event));
      return outcomesOf(parts, stream, isWanted, onRead);
    },
    cuts: async () => {
      const named = new Set(sample.map(({ cut }) => cut));
      const found: CutRecord[] = [];
      const topic = cutsTopic(project, model.name);
      for (const { partition, low, high } of await log.offsets(topic)) {
        for await (const batch of log.read({ topic, partition, from: low, to: high })) {
          for (const record of batch)
            if (named.has(record.key?.toString('utf8') ?? '')) found.push(jsonOf<CutRecord>(record));
          onRead();
        }
      }
      return found;
    },
  };
}

async function outcomesOf(
  { log, project, objects, offline }: Parts,
  stream: CompiledStream,
  isWanted: (event: LoggedEvent) => boolean,
  onRead: () => void,
): Promise<Outcome[]> {
  const topic = streamTopic(project, stream.name);
  const rules = new OutcomeRules(stream, isWanted);
  const found: Outcome[] = [];
  const ranges = await log.offsets(topic);
  if (ranges.some(({ low }) => low > 0)) {
    const lows = new Map(ranges.map(({ partition, low }) => [partition, low]));
    const { files = [] } = (await archiveFiles(log, project)).get(topic) ?? {};
    const paths = await Promise.all(files.map(({ uri, sha256 }) => objects.localPath(uri, sha256)));
    for await (const events of offline.readEvents(stream, paths)) {
      for (const event of events) {
        if (event.offset >= (lows.get(event.partition) ?? 0)) continue;
        const outcome = rules.ofEvent(event);
        if (isWanted(event)) found.push({ event, outcome });
      }
      onRead();
    }
  }
  for (const { partition, low, high } of ranges) {
    for await (const batch of log.read({ topic, partition, from: low, to: high })) {
      for (const record of batch) {
        const outcome = rules.ofRecord(record);
        if (outcome.event !== null && isWanted(outcome.event)) found.push(outcome);
      }
      onRead();
    }
  }
  return found;
}
