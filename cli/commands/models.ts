import type { Command } from 'commander';
import { TidemillError } from '../../contracts/errors.js';
import type { ModelReport, VerdictReport, VersionReport } from '../../contracts/modelReport.js';
import type { PerformanceRow } from '../../contracts/performanceReport.js';
import { integerBetween, matching } from '../arguments.js';
import { auditText } from '../followChanges.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { formatRows } from '../output.js';
import { performanceText } from '../performanceText.js';
import type { Context } from '../program.js';
import { numberText, verdictTable } from '../verdictTable.js';

interface ProjectOptions {
  readonly project?: string;
  readonly projectId?: string;
}

const TIME = matching(/^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?Z)?$/, '2024-03-01 or 2024-03-01T00:00:00Z');

/** models list, models show, models report: what the registry knows, and how versions do. */
export function addModelCommands(program: Command, context: () => Context): void {
  const models = program.command('models').description('models, their versions and what was decided about them');
  const reports = async (model: string | undefined, options: ProjectOptions): Promise<ModelReport[]> =>
    (await readProgram({
      file: 'workers/modelReport.js',
      args: model === undefined ? [] : ['--model', model],
      env: await workerEnvironment(context().home, options),
    })) as ModelReport[];
  models
    .command('list')
    .description('versions, newest first, of one model or of all models of the project')
    .argument('[model]', 'name of the model')
    .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
    .option('--project-id <id>', 'scopes every row of the registry (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill models list fraud')
    .action(async (model: string | undefined, options: ProjectOptions) => {
      const { format, console } = context();
      const rows = (await reports(model, options)).flatMap((report) =>
        report.versions.map((version) => ({ model: report.model, ...version })),
      );
      console.out(
        formatRows(
          rows,
          {
            model: (row) => row.model,
            version: ({ version }) => String(version),
            status: ({ status }) => status,
            role: ({ role }) => role ?? '',
            trigger: ({ trigger }) => trigger,
            created: ({ createdAt }) => createdAt,
            auc: ({ metrics }) => numberText(metrics['auc']),
            'average precision': ({ metrics }) => numberText(metrics['average_precision']),
            gates: ({ verdicts }) => tally(verdicts),
            sha256: ({ artifact }) => artifact.sha256.slice(0, 12),
            data: ({ data }) => data.sha256.slice(0, 12),
          },
          format,
        ),
      );
    });
  models
    .command('show')
    .description('a version with its verdicts; the rollouts, the deployment and the audit of its model')
    .argument('<model>', 'name of the model')
    .argument('[version]', 'default: the champion, else the newest', integerBetween(1, Number.MAX_SAFE_INTEGER))
    .option('--project-id <id>', 'scopes every row of the registry (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill models show fraud 2')
    .action(async (model: string, wanted: number | undefined, options: ProjectOptions) => {
      const { format, console } = context();
      const [report] = await reports(model, options);
      if (report === undefined) throw new Error(`invariant broken: no report of ${model}`);
      const version = versionOf(report, wanted);
      // Programs get the version in the place of all versions.
      if (format === 'table') console.out(describe(report, version));
      else console.out(JSON.stringify({ ...report, versions: undefined, version }));
    });
  models
    .command('report')
    .description('how the versions of a model do, day by day: what they said, and what came true')
    .argument('<model>', 'name of the model')
    .option('--from <time>', 'requests from this event time on (default: seven days up to the newest)', TIME)
    .option('--to <time>', 'requests before it (default: all)', TIME)
    .option('--project <module>', 'compiled project module (default: TIDEMILL_PROJECT)')
    .option('--project-id <id>', 'scopes every topic and row (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill models report fraud --from 2024-03-01 --to 2024-03-08')
    .action(async (model: string, options: ProjectOptions & { readonly from?: string; readonly to?: string }) => {
      const { format, console, home } = context();
      const { from, to } = options;
      const rows = (await readProgram({
        file: 'workers/performance.js',
        args: [
          '--model',
          model,
          ...(from === undefined ? [] : ['--from', from]),
          ...(to === undefined ? [] : ['--to', to]),
        ],
        env: await workerEnvironment(home, options),
      })) as PerformanceRow[];
      console.out(format === 'table' ? performanceText(model, rows) : formatRows(rows, {}, format));
    });
}

/** @throws TidemillError VERSION_NOT_FOUND; null where the model has no version at all and none was asked for. */
function versionOf({ model, versions }: ModelReport, wanted: number | undefined): VersionReport | null {
  if (wanted === undefined) return versions.find(({ role }) => role === 'champion') ?? versions[0] ?? null;
  const found = versions.find(({ version }) => version === wanted);
  if (found !== undefined) return found;
  throw new TidemillError('VERSION_NOT_FOUND', `${model} has no version ${wanted}`, {
    model,
    version: wanted,
    versions: versions.map(({ version }) => version),
  });
}

function describe(
  { model, deployment, rollouts, consistency, audit }: ModelReport,
  version: VersionReport | null,
): string {
  const table = <Row extends object>(rows: readonly Row[], columns: Record<string, (row: Row) => string>): string =>
    rows.length === 0 ? 'none' : formatRows(rows, columns, 'table');
  const rolloutTable = table(rollouts.slice(0, 10), {
    token: ({ token }) => String(token),
    trigger: ({ trigger }) => trigger,
    phase: ({ phase }) => phase,
    outcome: ({ outcome }) => outcome ?? 'open',
    opened: ({ openedAt }) => openedAt,
    closed: ({ closedAt }) => closedAt ?? '',
    workflow: ({ holder }) => holder,
  });
  const auditTable = table(audit.tail, {
    row: ({ sequence }) => String(sequence),
    at: ({ at }) => at,
    actor: ({ actor }) => actor,
    action: ({ action }) => action,
    reason: ({ reason }) => reason,
  });
  const chain = audit.problem === null ? `${audit.rows} rows, chain intact` : `CHAIN BROKEN, ${audit.problem}`;
  return [
    ...(version === null ? [`${model} has no version yet`] : [describeVersion(model, version)]),
    `deployment\n${deployment === null ? 'none' : describeDeployment(deployment)}`,
    `rollouts\n${rolloutTable}`,
    `consistency\n${consistency === null ? 'never audited' : `${consistency.at}, ${auditText(consistency.result)}`}`,
    `audit (${chain})\n${auditTable}`,
  ].join('\n\n');
}

function describeVersion(model: string, version: VersionReport): string {
  const { artifact, data, hyperparameters, metrics, workflow, verdicts } = version;
  const pairs = (values: Readonly<Record<string, unknown>>): string =>
    Object.entries(values)
      .filter(([name]) => name !== 'kind')
      .map(([name, value]) => `${name} ${typeof value === 'number' ? numberText(value) : String(value)}`)
      .join(', ');
  const facts: [string, string][] = [
    ['status', [version.status, version.role, version.reason].filter((each) => each !== null).join(', ')],
    ['created', `${version.createdAt}, ${version.trigger}, rollout ${version.token}`],
    ['workflow', workflow?.id ?? 'none'],
    ['trainer', `${version.trainer}: ${pairs(hyperparameters)}`],
    ['metrics', pairs(metrics)],
    ['artifact', `${artifact.uri}, ${artifact.bytes} bytes`],
    ['sha256', artifact.sha256],
    ['data', data.uri],
    ['inputs', `${version.columns.length} columns of feature service ${version.service.slice(0, 12)}`],
    ['code', version.codeVersion],
  ];
  return [
    `${model} version ${version.version}`,
    ...facts.map(([name, text]) => `  ${name.padEnd(10)}${text}`),
    '',
    `verdicts\n${verdictTable(verdicts)}`,
  ].join('\n');
}

function describeDeployment({
  epoch,
  mode,
  champion,
  challenger,
  share,
  prepare,
}: NonNullable<ModelReport['deployment']>): string {
  const parts = [`epoch ${epoch}`, mode, champion === null ? 'no champion' : `champion ${champion}`];
  if (challenger !== null) parts.push(`challenger ${challenger}`);
  if (mode === 'canary') parts.push(`share ${share}`);
  if (prepare !== null) parts.push(`preparing ${prepare}`);
  return parts.join(', ');
}

/** `5 pass, 1 fail` */
function tally(verdicts: readonly VerdictReport[]): string {
  const counts = new Map<string, number>();
  for (const { verdict } of verdicts) counts.set(verdict, (counts.get(verdict) ?? 0) + 1);
  return [...counts].map(([verdict, count]) => `${count} ${verdict}`).join(', ');
}
