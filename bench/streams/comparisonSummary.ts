import type { ComparedRun } from './comparePrograms.js';

/** Median, least and greatest of a figure over the rounds. */
export interface Range {
  readonly median: number;
  readonly least: number;
  readonly greatest: number;
}

export interface ProgramSummary {
  readonly program: string;
  readonly keys: number;
  readonly rounds: number;
  readonly results: number;
  readonly eventsPerSecond: Range;
  readonly cpuSecondsPerMillion: Range;
  readonly peakMb: Range;
  readonly startSeconds: Range;
}

/** By number of keys and program, in the order of the runs. */
export function summarise(runs: readonly ComparedRun[], events: number): ProgramSummary[] {
  const groups = new Map<string, ComparedRun[]>();
  for (const run of runs) {
    const name = `${run.keys} ${run.program}`;
    groups.set(name, [...(groups.get(name) ?? []), run]);
  }
  return [...groups.values()].map((group) => {
    const { program, keys, results } = group[0] as ComparedRun;
    const over = (figure: (run: ComparedRun) => number, digits: number): Range => rangeOf(group.map(figure), digits);
    return {
      program,
      keys,
      rounds: group.length,
      results,
      eventsPerSecond: over(({ seconds }) => events / seconds, 0),
      cpuSecondsPerMillion: over(({ cpuSeconds }) => (cpuSeconds * 1e6) / events, 2),
      peakMb: over(({ peakMb }) => peakMb, 0),
      startSeconds: over(({ startSeconds }) => startSeconds, 1),
    };
  });
}

/** CPU of an event with the most keys, as a multiple of that with the fewest; programs that ran with one number are left out. */
export function flatness(summaries: readonly ProgramSummary[]): { readonly program: string; readonly ratio: number }[] {
  const names = [...new Set(summaries.map(({ program }) => program))];
  return names.flatMap((program) => {
    const own = summaries.filter((each) => each.program === program).sort((a, b) => a.keys - b.keys);
    const [fewest, most] = [own[0], own.at(-1)];
    if (fewest === undefined || most === undefined || fewest === most) return [];
    const ratio = most.cpuSecondsPerMillion.median / fewest.cpuSecondsPerMillion.median;
    return [{ program, ratio: rounded(ratio, 2) }];
  });
}

export function rangeOf(figures: readonly number[], digits: number): Range {
  const sorted = [...figures].sort((a, b) => a - b);
  const at = (place: number): number => sorted[place] as number;
  const middle = (sorted.length - 1) / 2;
  return {
    median: rounded((at(Math.floor(middle)) + at(Math.ceil(middle))) / 2, digits),
    least: rounded(at(0), digits),
    greatest: rounded(at(sorted.length - 1), digits),
  };
}

function rounded(value: number, digits: number): number {
  return Number(value.toFixed(digits));
}
