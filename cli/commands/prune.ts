import type { Command } from 'commander';
import { HOUR_MS } from '../../contracts/duration.js';
import type { PrunedObject, PruneReport } from '../../contracts/pruneReport.js';
import { durationFrom } from '../arguments.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { formatTable } from '../output.js';
import type { Context } from '../program.js';

interface PruneOptions {
  readonly olderThan: string;
  readonly grace: string;
  readonly dryRun: boolean;
  readonly project?: string;
  readonly projectId?: string;
}

/** prune: stored objects that nobody needs. */
export function addPruneCommand(program: Command, context: () => Context): void {
  program
    .command('prune')
    .description(
      'set objects aside that no version, open rollout or manifest names; delete what an earlier run set aside',
    )
    .option('--older-than <duration>', 'younger objects stay', durationFrom(HOUR_MS), '90d')
    .option(
      '--grace <duration>',
      'how long an object lies aside before it is deleted; whoever reads it meanwhile brings it back',
      durationFrom(HOUR_MS),
      '1d',
    )
    .option('--dry-run', 'only say what would be done', false)
    .option(
      '--project <module>',
      'compiled project module: says which topologies and views there are (default: TIDEMILL_PROJECT)',
    )
    .option('--project-id <id>', 'whose archive and snapshots are looked at (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill prune --older-than 90d --dry-run')
    .action(async (options: PruneOptions) => {
      const { home, format, console } = context();
      const report = (await readProgram({
        file: 'workers/prune.js',
        args: ['--older-than', options.olderThan, '--grace', options.grace, ...(options.dryRun ? ['--plan'] : [])],
        env: await workerEnvironment(home, options),
      })) as PruneReport;
      console.out(format === 'table' ? formatReport(report) : JSON.stringify(report));
    });
}

function formatReport({ applied, setAside, broughtBack, deleted, kept }: PruneReport): string {
  const parts: readonly (readonly [string, readonly PrunedObject[]])[] = [
    ['deleted', deleted],
    ['set aside', setAside],
    ['brought back', broughtBack],
  ];
  const rows = parts.flatMap(([what, objects]) =>
    objects.map(({ uri, bytes, why }) => [what, uri, String(bytes), why]),
  );
  const summary = parts.map(([what, objects]) => `${what} ${objects.length} (${sum(objects)} bytes)`).join(', ');
  return [
    ...(rows.length === 0 ? [] : [formatTable(['object', 'address', 'bytes', 'why'], rows), '']),
    ...(kept.length === 0 ? [] : [formatTable(['kept', 'bytes', 'why'], keptByReason(kept)), '']),
    `${applied ? '' : 'would be: '}${summary}, kept ${kept.length} (${sum(kept)} bytes)`,
  ].join('\n');
}

function keptByReason(kept: readonly PrunedObject[]): string[][] {
  const groups = new Map<string, PrunedObject[]>();
  for (const object of kept) groups.set(object.why, [...(groups.get(object.why) ?? []), object]);
  return [...groups].map(([why, objects]) => [String(objects.length), String(sum(objects)), why]);
}

function sum(objects: readonly PrunedObject[]): number {
  return objects.reduce((total, { bytes }) => total + bytes, 0);
}
