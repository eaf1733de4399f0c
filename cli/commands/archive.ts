import type { Command } from 'commander';
import type { CompactedRange } from '../../contracts/compactionReport.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { formatRows } from '../output.js';
import type { Context } from '../program.js';

/** archive compact: fewer and larger files. */
export function addArchiveCommands(program: Command, context: () => Context): void {
  program
    .command('archive')
    .description('files of the archive')
    .command('compact')
    .description('merge small files into large ones; `tidemill prune` removes what they replace')
    .option('--project-id <id>', 'whose archive (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill archive compact --json')
    .action(async (options: { readonly projectId?: string }) => {
      const { home, format, console } = context();
      const env = await workerEnvironment(home, options);
      const merged = (await readProgram({ file: 'workers/compact.js', args: [], env })) as CompactedRange[];
      console.out(
        formatRows(
          merged,
          {
            topic: ({ topic }) => topic,
            partition: ({ partition }) => String(partition),
            first: ({ first }) => String(first),
            last: ({ last }) => String(last),
            rows: ({ rows }) => String(rows),
            'files replaced': ({ replaced }) => String(replaced),
            bytes: ({ bytes }) => String(bytes),
          },
          format,
        ),
      );
    });
}
