/**
 * Writes the tables of docs/reference/benchmarks.md: settings from the programs themselves, figures from what
 * `npm run bench -- streams --json FILE` wrote. `node scripts/benchmark-page.mjs [FILE]`; without a file the figures stay.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { build, root } from './prerequisites.mjs';

const path = join(root, 'docs', 'reference', 'benchmarks.md');
const [file] = process.argv.slice(2);
build();
const { PROGRAMS } = await import(join(root, 'dist', 'bench', 'streams', 'programs.js'));
let page = readFileSync(path, 'utf8');
page = replaced(page, 'settings', settingsOf(PROGRAMS));
if (file !== undefined) page = replaced(page, 'figures', figuresOf(JSON.parse(readFileSync(file, 'utf8'))));
writeFileSync(path, await format(page, { ...(await resolveConfig(path)), parser: 'markdown' }));

function settingsOf(programs) {
  const rows = programs.map(({ name, version, guarantee, workers, workersAre, settings }) => {
    const all = Object.entries({ [workersAre]: workers, ...settings });
    return [name, version, guarantee, all.map(([key, value]) => `${key}: ${value}`).join('<br>')];
  });
  return table(['program', 'version', 'guarantee', 'settings'], rows);
}

function figuresOf({ machine, options, programs, skipped, summary, flatness }) {
  const ranged = ({ median, least, greatest }) => `${text(median)} (${text(least)} to ${text(greatest)})`;
  const rows = summary.map((each) => [
    text(each.keys),
    each.program,
    ranged(each.eventsPerSecond),
    ranged(each.cpuSecondsPerMillion),
    ranged(each.peakMb),
    text(each.results),
  ]);
  const workers = programs.map(({ name, threads, processes }) => `${name} ${threads ?? processes}`).join(', ');
  return [
    `${machine.cores} cores (${machine.processor}), ${machine.memoryGb} GB of memory, Node.js ${machine.node}; ` +
      `${text(options.events)} events in ${options.partitions} partitions, seed ${options.seed}, ${options.rounds} rounds; ` +
      `threads or processes: ${workers}. Medians, and in brackets the least and the greatest.`,
    table(['keys', 'program', 'events/s', 'CPU seconds per million', 'peak MB', 'results'], rows),
    ...flatness.map(({ program, ratio }) => `- ${program}: an event with the most keys costs ${ratio} times the CPU.`),
    ...skipped.map(({ name, reason }) => `- Left out: ${name} (${reason.split('\n')[0]}).`),
  ].join('\n\n');
}

function text(value) {
  return value.toLocaleString('en-US');
}

function table(head, rows) {
  return [head, head.map(() => '---'), ...rows].map((row) => `| ${row.join(' | ')} |`).join('\n');
}

/** The page with other content between the two marks of a section. */
function replaced(page, section, content) {
  const [begin, end] = [`<!-- ${section}: begin -->`, `<!-- ${section}: end -->`];
  const [from, to] = [page.indexOf(begin), page.indexOf(end)];
  if (from < 0 || to < from) throw new Error(`the page has no section ${section}`);
  return `${page.slice(0, from + begin.length)}\n\n${content}\n\n${page.slice(to)}`;
}
