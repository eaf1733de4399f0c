import type { Command } from 'commander';
import type { PredictionLineage, VersionLineage, ViewReaderReport } from '../../contracts/lineageReport.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { formatRows, formatTable } from '../output.js';
import type { Context } from '../program.js';

interface LineageOptions {
  readonly project?: string;
  readonly projectId?: string;
}

/** lineage prediction, lineage view: from a prediction back to its data, and from a view to its versions. */
export function addLineageCommands(program: Command, context: () => Context): void {
  const lineage = program.command('lineage').description('where a prediction comes from, and who reads a view');
  const read = async (options: LineageOptions, ...args: string[]): Promise<unknown> =>
    readProgram({ file: 'workers/lineage.js', args, env: await workerEnvironment(context().home, options) });
  lineage
    .command('prediction')
    .description('the version that served a prediction, what that had learned from, and what was known at that moment')
    .argument('<model>', 'name of the model')
    .argument('<id>', "the request's id")
    .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
    .option('--project-id <id>', 'scopes every topic and row (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill lineage prediction fraud 1042 --json')
    .action(async (model: string, id: string, options: LineageOptions) => {
      const { format, console } = context();
      // An id may begin with a hyphen.
      const found = (await read(options, '--', 'prediction', model, id)) as PredictionLineage;
      console.out(format === 'table' ? formatPrediction(found) : JSON.stringify(found));
    });
  lineage
    .command('view')
    .description('the versions that read a feature view, and what they are in the deployment')
    .argument('<view>', 'name of the view or of request features')
    .option('--project-id <id>', 'scopes every row of the registry (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill lineage view customer_spending')
    .action(async (view: string, options: LineageOptions) => {
      const { format, console } = context();
      const rows = (await read(options, '--', 'view', view)) as ViewReaderReport[];
      if (format === 'table' && rows.length === 0) {
        console.out(`no version reads ${view}`);
        return;
      }
      console.out(
        formatRows(
          rows,
          {
            model: ({ model }) => model,
            version: ({ version }) => String(version),
            status: ({ status }) => status,
            role: ({ role }) => role ?? '',
            view: ({ hash }) => hash.slice(0, 12),
          },
          format,
        ),
      );
    });
}

function formatPrediction(found: PredictionLineage): string {
  const { place, cut, version } = found;
  const served = version === null ? "the model's rules" : `version ${version.version}, ${version.status}`;
  const facts: [string, string][] = [
    ['request', found.at],
    ['answer', `${found.score}, ${found.decision}`],
    ['served by', `${served}, as ${found.role} in epoch ${found.epoch}`],
    ['vector', `feature service ${found.service.slice(0, 12)}`],
    ['stands in', `${place.topic}-${place.partition} offset ${place.offset} (${found.foundIn})`],
  ];
  const { request, folded, requests } = cut;
  const known = [
    [request.topic, String(request.partition), String(request.offset), 'the request'],
    ...offsetRows(folded ?? {}).map((row) => [...row, 'known below']),
    ...requestRows(request.topic, requests ?? {}),
  ];
  return [
    `prediction ${found.id} of ${found.model}`,
    ...facts.map(([name, text]) => `  ${name.padEnd(10)}${text}`),
    '',
    `cut\n${formatTable(['topic', 'partition', 'offset', 'what'], known)}`,
    ...(folded === null ? ['the rest of the cut is neither in the log nor in the archive'] : []),
    ...(version === null ? [] : ['', formatVersion(version)]),
  ].join('\n');
}

function formatVersion({ version, dataset, ...rest }: VersionLineage): string {
  const { content } = dataset;
  const facts: [string, string][] = [
    ['created', `${rest.createdAt}, ${rest.trigger}, ${rest.trainer}`],
    ['workflow', rest.workflow?.id ?? 'none'],
    ['artifact', rest.artifact.uri],
    ['code', rest.codeVersion],
    ['dataset', dataset.uri],
    ['sha256', dataset.sha256],
  ];
  const views = Object.entries(rest.views).map(([name, hash]) => [name, hash.slice(0, 12)]);
  return [
    `version ${version}`,
    ...facts.map(([name, text]) => `  ${name.padEnd(10)}${text}`),
    ...(content === null
      ? ['  its manifest is not among the objects of this home']
      : [
          `  rows      ${content.rows}, ${content.positives} positive, ${content.asServed} as served`,
          `  window    ${content.from} to ${content.to}, labels known by ${content.labelCutOff}`,
          '',
          `learned from\n${formatTable(['topic', 'partition', 'below offset'], offsetRows(content.offsets))}`,
        ]),
    ...(views.length === 0 ? [] : ['', formatTable(['view', 'hash'], views)]),
  ].join('\n');
}

function requestRows(topic: string, requests: NonNullable<PredictionLineage['cut']['requests']>): string[][] {
  return Object.entries(requests).flatMap(([field, partitions]) =>
    Object.entries(partitions).flatMap(([partition, ranges]) =>
      ranges.map(([from, to]) => [topic, partition, `${from} to ${to - 1}`, `counted by ${field}`]),
    ),
  );
}

function offsetRows(offsets: Readonly<Record<string, Readonly<Record<string, number>>>>): string[][] {
  return Object.entries(offsets).flatMap(([topic, partitions]) =>
    Object.entries(partitions).map(([partition, offset]) => [topic, partition, String(offset)]),
  );
}
