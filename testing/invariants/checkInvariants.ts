import { verifyServed } from '../../activities/audit/verifyServed.js';
import { TidemillError } from '../../contracts/errors.js';
import { streamTopic } from '../../contracts/topics.js';
import type { World } from '../world.js';
import { compareArchive } from './archive.js';
import { compareOnlineState } from './onlineState.js';
import { compareOutcomes } from './outcomes.js';
import { compareReplayedState } from './replayedState.js';

/** What was held against what; 0 where the topology does not run. */
export interface InvariantReport {
  /** Requests that were live, over all models. */
  readonly requests: number;
  readonly predictions: number;
  readonly duplicates: number;
  readonly late: number;
  readonly deadLetters: number;
  /** Served vectors held to the interpreter. */
  readonly vectors: number;
  /** Running tasks whose state was held to a replay of the log. */
  readonly tasks: number;
  /** Keys in the online store held to the interpreter. */
  readonly onlineKeys: number;
  readonly outcomes: number;
  readonly archivedRecords: number;
}

/** The report of nothing. */
export const NOTHING_CHECKED: InvariantReport = {
  requests: 0,
  predictions: 0,
  duplicates: 0,
  late: 0,
  deadLetters: 0,
  vectors: 0,
  tasks: 0,
  onlineKeys: 0,
  outcomes: 0,
  archivedRecords: 0,
};

/** Findings that a message tells; a broken invariant rarely breaks once. */
const MAX_FINDINGS = 10;

export async function checkInvariants(
  world: World,
  liveFrom: ReadonlyMap<string, ReadonlyMap<number, number>>,
  seed: number | null,
): Promise<InvariantReport> {
  const { project, simulation, topologies, online } = world;
  const { log } = simulation;
  const findings: string[] = [];
  const find = (text: string): void => void findings.push(text);
  const runs = (name: string): boolean => topologies.some(({ identity }) => identity.name === name);
  const report: Record<keyof InvariantReport, number> = { ...NOTHING_CHECKED };

  for (const model of project.models) {
    const from = (stream: string): ReadonlyMap<number, number> =>
      liveFrom.get(streamTopic(project.id, stream)) ?? new Map<number, number>();
    if (runs(`score.${model.name}`)) {
      const audit = await verifyServed(log, project.id, model, from(model.request.name));
      audit.findings.forEach(find);
      report.requests += audit.records;
      report.predictions += audit.predictions;
      report.duplicates += audit.duplicates;
      report.late += audit.late;
      report.deadLetters += audit.deadLetters;
      report.vectors += audit.vectorsCompared;
    }
    if (runs(`outcome.${model.name}`))
      report.outcomes += await compareOutcomes(log, project.id, model, from(model.label.stream.name), find);
  }
  for (const { identity, sources } of topologies) {
    if (!identity.name.startsWith('archive.')) continue;
    const topics = sources.map(({ topic }) => topic);
    report.archivedRecords += await compareArchive(log, project.id, topics, find);
  }
  report.tasks = await compareReplayedState(simulation, find);
  for (const view of project.views) {
    if (online === null || !runs(`materialize.${view.name}`)) continue;
    report.onlineKeys += await compareOnlineState(log, online, project.id, view, find);
  }

  if (findings.length > 0) {
    const told = findings.slice(0, MAX_FINDINGS).join('\n  ');
    const more = findings.length > MAX_FINDINGS ? `\n  and ${findings.length - MAX_FINDINGS} more` : '';
    const after = seed === null ? '' : `after the interleaving of seed ${seed}, which does the same again, `;
    throw new TidemillError('INVARIANT_BROKEN', `${after}${findings.length} promises are broken:\n  ${told}${more}`, {
      seed,
      findings,
    });
  }
  return report;
}
