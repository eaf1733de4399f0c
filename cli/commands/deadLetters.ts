import type { Command } from 'commander';
import type { DeadLetter, DeadLetterChange, DeadLetterContent, DeadLetterList } from '../../contracts/deadLetters.js';
import { durationMs } from '../../contracts/duration.js';
import { TidemillError } from '../../contracts/errors.js';
import { integerBetween, matching } from '../arguments.js';
import { readProgram, workerEnvironment } from '../childProgram.js';
import { userName } from '../connectClient.js';
import { formatRows } from '../output.js';
import type { Context } from '../program.js';

interface FilterOptions {
  readonly topic?: string;
  readonly code?: string;
  readonly since?: string;
  readonly limit?: number;
  readonly projectId?: string;
}

interface DecideOptions extends FilterOptions {
  readonly all: boolean;
  readonly reason: string;
  readonly yes: boolean;
}

/** dlq list, show, replay, discard: records that could not be processed. */
export function addDeadLetterCommands(program: Command, context: () => Context): void {
  const dlq = program.command('dlq').description('dead letters: records that could not be processed');
  const filtered = (command: Command): Command =>
    command
      .option('--topic <name>', 'only those that failed in this topic')
      .option('--code <code>', 'only those with this error code, EVENT_MALFORMED for one')
      .option(
        '--since <when>',
        'only those set aside since then: a time, or a duration before now',
        matching(/^(\d{4}-\d{2}-\d{2}\S*|\d+(ms|s|m|h|d))$/, '2026-01-31T12:00:00Z or 2h'),
      )
      .option('--limit <n>', 'at most so many, the oldest first', integerBetween(1, 1_000_000))
      .option('--project-id <id>', 'project (default: TIDEMILL_PROJECT_ID)');
  const ask = async (options: FilterOptions, action: string, ...args: string[]): Promise<unknown> =>
    readProgram({
      file: 'workers/deadLetters.js',
      args: [action, ...filterArguments(options), ...args],
      env: await workerEnvironment(context().home, options),
    });

  filtered(dlq.command('list').description('open dead letters, counted by topic and code'))
    .addHelpText('after', '\nExample:\n  tidemill dlq list --code EVENT_TIME_IN_FUTURE --since 2h --json')
    .action(async (options: FilterOptions) => {
      const { format, console } = context();
      const list = (await ask({ ...options, limit: options.limit ?? 50 }, 'list')) as DeadLetterList;
      if (format === 'json') console.out(JSON.stringify(list));
      else if (format === 'jsonl') console.out(formatLetters(list.letters, format));
      else console.out(formatList(list));
    });
  dlq
    .command('show')
    .description('one dead letter: its bytes, headers and error')
    .argument('<id>', 'PARTITION-OFFSET, as list shows it')
    .option('--project-id <id>', 'project (default: TIDEMILL_PROJECT_ID)')
    .addHelpText('after', '\nExample:\n  tidemill dlq show 0-17')
    .action(async (id: string, options: FilterOptions) => {
      const { format, console } = context();
      const letter = (await ask(options, 'show', `--ids=${id}`)) as DeadLetterContent;
      console.out(format === 'table' ? formatContent(letter) : JSON.stringify(letter));
    });

  const addDecision = (name: 'replay' | 'discard', description: string): void => {
    filtered(dlq.command(name).description(description).argument('[ids...]', 'PARTITION-OFFSET, as list shows it'))
      .option('--all', 'all open ones', false)
      .option('--reason <text>', 'kept with the decision', '')
      .option('--yes', 'do not ask', false)
      .addHelpText(
        'after',
        `\nExample:\n  tidemill dlq ${name} --code EVENT_TIME_IN_FUTURE --reason "clocks are right again"`,
      )
      .action(async (ids: readonly string[], options: DecideOptions) => {
        const given = context();
        const { format, console } = given;
        requireChoice(name, ids, options);
        const args = [`--by=${userName()}`, `--reason=${options.reason}`];
        if (ids.length > 0) args.push(`--ids=${ids.join(',')}`);
        if (!options.yes) {
          if (console.ask === undefined || format !== 'table')
            throw new TidemillError('USAGE_INVALID', `dlq ${name} asks before it changes anything: pass --yes`, {
              ids,
            });
          const plan = (await ask(options, name, '--plan', ...args)) as DeadLetterChange;
          console.error(formatChange(plan));
          if (plan.letters.length === 0) return;
          const reply = await console.ask(`${name === 'replay' ? 'Replay' : 'Discard'} ${plan.letters.length}? [y/N] `);
          if (!/^y(es)?$/i.test(reply.trim())) {
            console.error('nothing was changed');
            given.exit(1);
            return;
          }
        }
        const done = (await ask(options, name, ...args)) as DeadLetterChange;
        console.out(format === 'table' ? formatChange(done) : JSON.stringify(done));
      });
  };
  addDecision('replay', 'give dead letters to the topics where they failed once more');
  addDecision('discard', 'decide that dead letters need nothing more: list shows them no longer');
}

/** Ids, a filter or --all: nobody decides about everything by leaving something out. */
function requireChoice(name: string, ids: readonly string[], { topic, code, since, limit, all }: DecideOptions): void {
  const isFiltered = topic !== undefined || code !== undefined || since !== undefined || limit !== undefined;
  if (ids.length > 0 && (isFiltered || all))
    throw new TidemillError('USAGE_INVALID', `dlq ${name} takes ids, or a filter, not both`, { ids });
  if (ids.length === 0 && !isFiltered && !all)
    throw new TidemillError('USAGE_INVALID', `dlq ${name} needs ids, a filter or --all`, {});
}

function filterArguments({ topic, code, since, limit }: FilterOptions): string[] {
  return [
    ...(topic === undefined ? [] : [`--topic=${topic}`]),
    ...(code === undefined ? [] : [`--code=${code}`]),
    ...(since === undefined ? [] : [`--since=${momentOf(since)}`]),
    ...(limit === undefined ? [] : [`--limit=${limit}`]),
  ];
}

function momentOf(text: string): number {
  if (!/^\d{4}-/.test(text)) return Date.now() - durationMs(text);
  const at = Date.parse(text);
  if (Number.isNaN(at)) throw new TidemillError('USAGE_INVALID', `--since ${text} is no time`, { since: text });
  return at;
}

function formatList({ counts, letters }: DeadLetterList): string {
  if (counts.length === 0) return 'no open dead letters';
  const total = counts.reduce((sum, { count }) => sum + count, 0);
  const summary = formatRows(
    counts,
    { topic: ({ topic }) => topic, code: ({ code }) => code, open: ({ count }) => String(count) },
    'table',
  );
  const shown = letters.length === total ? '' : `\nthe oldest ${letters.length} of ${total}:`;
  return `${summary}\n${shown}\n${formatLetters(letters, 'table')}`;
}

function formatLetters(letters: readonly DeadLetter[], format: 'table' | 'jsonl'): string {
  return formatRows(
    letters,
    {
      id: ({ id }) => id,
      'set aside': ({ at }) => new Date(at).toISOString(),
      place: ({ topic, partition, offset }) => `${topic}-${partition} ${offset}`,
      attempt: ({ attempt }) => String(attempt),
      code: ({ code }) => code,
      message: ({ message }) => message.slice(0, 100),
    },
    format,
  );
}

function formatContent(letter: DeadLetterContent): string {
  const { id, at, topic, partition, offset, code, message, attempt, origin, decision } = letter;
  const isRepeated = origin.offset !== offset || origin.partition !== partition;
  return [
    `${id} set aside ${new Date(at).toISOString()}`,
    `failed at    ${topic}-${partition} offset ${offset}`,
    ...(isRepeated ? [`first at     ${origin.topic}-${origin.partition} offset ${origin.offset}`] : []),
    `error        ${code}: ${message}`,
    `attempt      ${attempt}`,
    ...(decision === null
      ? ['decision     open']
      : [
          `decision     ${decision.decision} by ${decision.by}, ${new Date(decision.at).toISOString()} ${decision.reason}`,
        ]),
    ...Object.entries(letter.headers).map(([name, value]) => `header       ${name}: ${value}`),
    `key          ${contentText(letter.key, letter.keyHex)}`,
    `value        ${contentText(letter.value, letter.valueHex)}`,
  ].join('\n');
}

function contentText(text: string | null, hex: string | null): string {
  if (hex === null) return '(none)';
  return text ?? `0x${hex}`;
}

function formatChange({ decision, applied, letters, skipped }: DeadLetterChange): string {
  const verb = applied ? decision : `to be ${decision}`;
  return [
    `${letters.length} ${verb}`,
    ...(letters.length === 0 || applied ? [] : [formatLetters(letters.slice(0, 20), 'table')]),
    ...skipped.map(({ id, why }) => `${id} stays as it is: ${why}`),
  ].join('\n');
}
