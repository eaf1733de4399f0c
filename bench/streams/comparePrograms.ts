import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { streamTopic } from '../../contracts/topics.js';
import type { Log } from '../../stores/log/log.js';
import { measureProgram, type Launch, type ProgramRun, type RunPlace, type StreamProgram } from './streamProgram.js';
import { fillTumblingTopic } from './tumblingEvents.js';
import { differences, oracleResults, readResults, type WindowResults } from './windowResults.js';

/** Name of the event stream in Tidemill's project: all programs read its topic. */
const STREAM = 'orders';
/** Between two runs, for what the broker still has to do for the one before. */
const SETTLE_MS = 2_000;

export interface ComparisonOptions {
  readonly events: number;
  /** Numbers of users: each is a comparison of its own. */
  readonly keys: readonly number[];
  readonly partitions: number;
  readonly rounds: number;
  readonly seed: number;
  /** Threads or processes of every program; null: of each its own number. */
  readonly workers: number | null;
}

export interface ComparedRun extends ProgramRun {
  readonly program: string;
  readonly keys: number;
  readonly round: number;
  readonly results: number;
}

/** A program that can be run here. */
export interface ReadyProgram {
  readonly program: StreamProgram;
  readonly launch: (place: RunPlace) => Promise<Launch>;
}

/** Results of a run are not those of the batch, or not those of another program: nothing that was measured counts. */
export class WrongResults extends Error {
  constructor(
    readonly program: string,
    readonly findings: readonly string[],
  ) {
    super(`${program} gave wrong results:\n${findings.join('\n')}`);
  }
}

/**
 * Runs every program in each round, one after the other, over one topic of the round; each round begins with another program.
 *
 * @throws WrongResults at the first run whose results differ from the batch's, or from those of the first run with as many keys.
 */
export async function comparePrograms(
  ready: readonly ReadyProgram[],
  options: ComparisonOptions,
  at: { readonly log: Log; readonly broker: string; readonly directory: string },
  say: (text: string) => void,
): Promise<ComparedRun[]> {
  const { partitions } = options;
  const runs: ComparedRun[] = [];
  for (const keys of options.keys) {
    const events = { events: options.events, keys, seed: options.seed };
    const oracle = oracleResults(events);
    let first: { readonly name: string; readonly results: WindowResults } | null = null;
    for (let round = 1; round <= options.rounds; round++) {
      const project = `bench-${keys}-${round}`;
      const source = streamTopic(project, STREAM);
      await at.log.ensureTopics([{ topic: source, partitions }]);
      await fillTumblingTopic(at.log, source, partitions, events);
      for (const { program, launch } of rotated(ready, round - 1)) {
        const directory = join(at.directory, `${project}-${program.name}`);
        await sleep(SETTLE_MS);
        const workers = options.workers ?? program.workers;
        const launched = await launch({ project, broker: at.broker, source, partitions, workers, directory });
        await at.log.ensureTopics([{ topic: launched.results, partitions }]);
        const run = await measureProgram(at.log, source, launched).catch((error: unknown) => {
          throw new Error(`${program.name} did not finish`, { cause: error });
        });
        const { results, findings } = await readResults(at.log, launched.results);
        findings.push(...differences(results, oracle, 'the batch'));
        if (first !== null) findings.push(...differences(results, first.results, first.name));
        if (findings.length > 0) throw new WrongResults(program.name, findings);
        first ??= { name: program.name, results };
        say(`${keys} keys, round ${round}: ${program.name} gave the ${results.size} results expected`);
        runs.push({ program: program.name, keys, round, results: results.size, ...run });
        await rm(directory, { recursive: true, force: true });
      }
      await deleteTopics(at.log, project);
    }
  }
  return runs;
}

/** The list as it stands in a round: another program is the first, and every second round runs backwards. */
export function rotated<T>(list: readonly T[], round: number): T[] {
  const from = round % Math.max(1, list.length);
  const turned = [...list.slice(from), ...list.slice(0, from)];
  return round % 2 === 0 ? turned : turned.reverse();
}

/** Topics of a round, those included that the programs made for themselves. */
async function deleteTopics(log: Log, project: string): Promise<void> {
  const own = (await log.topics('')).filter((topic) => topic.includes(project));
  if (own.length > 0) await log.deleteTopics(own);
}
