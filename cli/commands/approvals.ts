import { readFile } from 'node:fs/promises';
import type { Command } from 'commander';
import { createLocalIssuer, signApproval } from '../../client/localIssuer.js';
import {
  bindingOf,
  type ApprovalAction,
  type ApprovalAnswer,
  type ApprovalBinding,
  type ApprovalReport,
} from '../../contracts/approval.js';
import { messageOf, TidemillError } from '../../contracts/errors.js';
import { lifecycleId } from '../../contracts/workflows.js';
import { hashOf } from '../../features/hash.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { connectionOf, userName, withClient } from '../connectClient.js';
import type { Context } from '../program.js';
import { numberText, verdictTable } from '../verdictTable.js';

interface AnswerOptions {
  readonly projectId?: string;
  readonly reason?: string;
  readonly as?: string;
  readonly token?: string;
  readonly print: boolean;
  readonly yes: boolean;
}

type Waiting = NonNullable<ApprovalReport['waiting']>;

/** approval init, approve, reject: a person's word about a version. */
export function addApprovalCommands(program: Command, context: () => Context): void {
  program
    .command('approval')
    .description('who may approve')
    .command('init')
    .description('make the key with which this machine signs approvals; from then on unsigned answers are refused')
    .addHelpText('after', '\nExample:\n  tidemill approval init')
    .action(async () => {
      const { home, format, console } = context();
      const made = await createLocalIssuer(home);
      const text = made.created ? `${made.keyFile} signs approvals from now on` : `${made.keyFile} is there already`;
      console.out(format === 'table' ? text : JSON.stringify(made));
    });
  for (const action of ['approve', 'reject'] as const) {
    const isReject = action === 'reject';
    const command = program
      .command(action)
      .description(`${action} the version that waits for an approval, after showing what it rests on`)
      .argument('<model>', 'name of the model')
      .option('--project-id <id>', 'project of the model (default: TIDEMILL_PROJECT_ID)')
      .option('--as <name>', 'who answers, where this machine signs (default: its user)')
      .option('--token <file>', 'file with a token of your identity provider (default: TIDEMILL_APPROVAL_TOKEN)')
      .option('--print', 'print the command of the Temporal CLI that would answer, and send nothing', false)
      .option('--yes', 'do not ask', false)
      .addHelpText('after', `\nExample:\n  tidemill ${action} fraud --reason "looked at slices and cost"`);
    if (isReject) command.requiredOption('--reason <text>', 'kept with the decision');
    else command.option('--reason <text>', 'kept with the decision');
    command.action((model: string, options: AnswerOptions) => answer(action, model, options, context()));
  }
}

async function answer(action: ApprovalAction, model: string, options: AnswerOptions, given: Context): Promise<void> {
  const { home, format, console } = given;
  const env = await workerEnvironment(home, options);
  const report = (await readProgram({
    file: 'workers/approvalReport.js',
    args: ['--model', model],
    env,
  })) as ApprovalReport;
  const waiting = requireWaiting(report, action);
  if (format === 'table') console.error(describe(waiting));
  if (!options.print && !options.yes) {
    if (console.ask === undefined || format !== 'table')
      throw new TidemillError('USAGE_INVALID', `${action} asks before it answers: pass --yes`, { model });
    const word = await console.ask(
      `${isApprove(action) ? 'Approve' : 'Reject'} version ${waiting.request.version}? [y/N] `,
    );
    if (!/^y(es)?$/i.test(word.trim())) {
      console.error('nothing was answered');
      given.exit(1);
      return;
    }
  }
  const connection = await connectionOf(home, options);
  const said = await answerOf(report, bindingOf(waiting.request, action), connection.project, options, given, env);
  if (options.print) {
    const args = ['workflow', 'update', 'execute', '--address', connection.address];
    args.push('--namespace', connection.namespace, '--workflow-id', lifecycleId(connection.project, model));
    args.push('--name', action, '--input', JSON.stringify(said));
    const line = ['temporal', ...args.map(shellWord)].join(' ');
    console.out(format === 'table' ? line : JSON.stringify({ command: ['temporal', ...args], waiting }));
    return;
  }
  await withClient(connection, async (client) => {
    const decision = isApprove(action) ? await client.approve(model, said) : await client.reject(model, said);
    const { version } = waiting.request;
    const verb = decision.approved ? 'approved' : 'rejected';
    const text =
      `version ${version} of ${model} was ${verb} by ${decision.by} (identity ${decision.identity}); ` +
      `the rollout goes on: tidemill follow ${waiting.holder}`;
    console.out(format === 'table' ? text : JSON.stringify({ model, version, workflowId: waiting.holder, decision }));
  });
}

function isApprove(action: ApprovalAction): boolean {
  return action === 'approve';
}

/** @throws TidemillError APPROVAL_INVALID where nothing waits, or what waits is not what it was. */
function requireWaiting({ model, waiting }: ApprovalReport, action: ApprovalAction): Waiting {
  if (waiting === null)
    throw new TidemillError('APPROVAL_INVALID', `${model}: nothing waits for an approval`, { model });
  const { request, evidence } = waiting;
  if (isApprove(action) && request.evidence !== evidence)
    throw new TidemillError('APPROVAL_INVALID', `${model}: the evidence has changed since the approval was asked for`, {
      asked: request.evidence,
      now: evidence,
    });
  return waiting;
}

/** The answer, signed by whoever signs here. */
async function answerOf(
  { issuer }: ApprovalReport,
  binding: ApprovalBinding,
  project: string,
  options: AnswerOptions,
  { home, console }: Context,
  env: NodeJS.ProcessEnv,
): Promise<ApprovalAnswer> {
  const reason = options.reason === undefined ? {} : { reason: options.reason };
  const subject = options.as ?? userName();
  const token = options.token === undefined ? env['TIDEMILL_APPROVAL_TOKEN'] : await tokenIn(options.token);
  if (token !== undefined && token !== '') return { token, ...reason };
  if (issuer === 'local') return { token: await signApproval(home, { project, subject, binding }), ...reason };
  if (issuer === 'oidc')
    throw new TidemillError(
      'APPROVAL_KEY_MISSING',
      `your identity provider signs: get a token with the claims of this answer, or an id token with nonce ${hashOf(binding)}`,
      { claims: binding, nonce: hashOf(binding) },
    );
  console.error('no issuer is set up: the answer will stand as unverified');
  return { by: subject, version: binding.version, evidence: binding.evidence, ...reason };
}

async function tokenIn(file: string): Promise<string> {
  try {
    return (await readFile(file, 'utf8')).trim();
  } catch (error) {
    throw new TidemillError('USAGE_INVALID', `the token cannot be read: ${messageOf(error)}`, { file });
  }
}

/** What the answer is about, as whoever gives it must have seen it. */
function describe({ request, trigger, holder, champion, metrics, verdicts }: Waiting): string {
  const facts: [string, string][] = [
    ['asked by', request.requestedBy ?? 'nobody in particular'],
    ['rollout', `${request.token}, ${trigger}, ${holder}`],
    ['in place of', champion === null ? 'nothing' : `version ${champion}`],
    [
      'metrics',
      Object.entries(metrics)
        .map(([name, value]) => `${name} ${numberText(value)}`)
        .join(', '),
    ],
    ['sha256', request.sha256],
    ['evidence', request.evidence],
  ];
  return [
    `version ${request.version} of ${request.model} waits for an approval`,
    ...facts.map(([name, text]) => `  ${name.padEnd(12)}${text}`),
    '',
    `verdicts\n${verdictTable(verdicts)}`,
  ].join('\n');
}

function shellWord(word: string): string {
  return /^[\w@%+=:,./-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}
