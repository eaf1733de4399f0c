import {
  KEPT_HEADER_PREFIX,
  type DeadLetter,
  type DeadLetterContent,
  type DeadLetterDecision,
  type DeadLetterFilter,
  type DeadLetterList,
} from '../../contracts/deadLetters.js';
import { TidemillError } from '../../contracts/errors.js';
import { deadLetterDecisionsTopic, deadLetterTopic } from '../../contracts/topics.js';
import type { Log, LogRecord } from '../../stores/log/log.js';

/** A dead letter and the record that holds it. */
export interface OpenLetter {
  readonly letter: DeadLetter;
  readonly record: LogRecord;
}

/** What was decided so far, by id of the dead letter. */
export type Decisions = ReadonlyMap<string, DeadLetterDecision>;

/** Lists the open dead letters that a filter means: counts over all, and as many letters as the limit lets through. */
export async function listDeadLetters(log: Log, project: string, filter: DeadLetterFilter): Promise<DeadLetterList> {
  const { limit, ...all } = filter;
  const letters = (await openLetters(log, project, all)).map(({ letter }) => letter);
  const counts = new Map<string, { topic: string; code: string; count: number }>();
  for (const { topic, code } of letters) {
    const known = counts.get(`${topic}\0${code}`) ?? { topic, code, count: 0 };
    known.count++;
    counts.set(`${topic}\0${code}`, known);
  }
  return {
    counts: [...counts.values()].sort((a, b) => b.count - a.count),
    letters: letters.slice(0, limit ?? letters.length),
  };
}

/** The open dead letters that a filter means, the oldest first. */
export async function openLetters(log: Log, project: string, filter: DeadLetterFilter): Promise<OpenLetter[]> {
  const decisions = await readDecisions(log, project);
  const found: OpenLetter[] = [];
  for await (const record of recordsOf(log, deadLetterTopic(project))) {
    const letter = letterOf(record);
    if (!decisions.has(letter.id) && isMeant(letter, filter)) found.push({ letter, record });
  }
  found.sort((a, b) => a.letter.at - b.letter.at);
  return found.slice(0, filter.limit ?? found.length);
}

/**
 * One dead letter with all that it holds, whether it is open or not.
 *
 * @throws TidemillError DEAD_LETTER_NOT_FOUND
 */
export async function showDeadLetter(log: Log, project: string, id: string): Promise<DeadLetterContent> {
  const { letter, record } = await findLetter(log, project, id);
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(record.headers)) {
    if (name.startsWith(KEPT_HEADER_PREFIX)) headers[name.slice(KEPT_HEADER_PREFIX.length)] = String(value);
  }
  return {
    ...letter,
    key: textOf(record.key),
    value: textOf(record.value),
    keyHex: record.key?.toString('hex') ?? null,
    valueHex: record.value?.toString('hex') ?? null,
    headers,
    decision: (await readDecisions(log, project)).get(id) ?? null,
  };
}

/** @throws TidemillError DEAD_LETTER_NOT_FOUND */
export async function findLetter(log: Log, project: string, id: string): Promise<OpenLetter> {
  const topic = deadLetterTopic(project);
  const match = /^(\d+)-(\d+)$/.exec(id);
  const [partition, offset] = [Number(match?.[1]), Number(match?.[2])];
  const count = await log.partitionCount(topic);
  const range = count === null ? undefined : (await log.offsets(topic)).find((each) => each.partition === partition);
  if (match !== null && range !== undefined && offset >= range.low && offset < range.high) {
    for await (const batch of log.read({ topic, partition, from: offset, to: offset + 1 })) {
      for (const record of batch) return { letter: letterOf(record), record };
    }
  }
  throw new TidemillError('DEAD_LETTER_NOT_FOUND', `there is no dead letter ${id} in ${topic}`, { id, topic });
}

/** What was decided; the last word counts. */
export async function readDecisions(log: Log, project: string): Promise<Decisions> {
  const decisions = new Map<string, DeadLetterDecision>();
  for await (const { key, value } of recordsOf(log, deadLetterDecisionsTopic(project))) {
    if (key !== null && value !== null)
      decisions.set(key.toString('utf8'), JSON.parse(value.toString('utf8')) as DeadLetterDecision);
  }
  return decisions;
}

async function* recordsOf(log: Log, topic: string): AsyncIterable<LogRecord> {
  if ((await log.partitionCount(topic)) === null) return;
  for (const { partition, low, high } of await log.offsets(topic)) {
    for await (const batch of log.read({ topic, partition, from: low, to: high })) yield* batch;
  }
}

function letterOf({ partition, offset, timestamp, value, headers }: LogRecord): DeadLetter {
  const text = (name: string): string => String(headers[name] ?? '');
  const place = {
    topic: text('original-topic'),
    partition: Number(text('original-partition')),
    offset: Number(text('original-offset')),
  };
  const isRepeated = headers['first-offset'] !== undefined;
  return {
    id: `${partition}-${offset}`,
    at: timestamp,
    ...place,
    code: text('code'),
    message: text('message'),
    attempt: Number(text('attempt')),
    origin: isRepeated
      ? { topic: place.topic, partition: Number(text('first-partition')), offset: Number(text('first-offset')) }
      : place,
    bytes: value?.length ?? null,
  };
}

function isMeant({ topic, code, at }: DeadLetter, filter: DeadLetterFilter): boolean {
  return (
    (filter.topic === undefined || topic === filter.topic) &&
    (filter.code === undefined || code === filter.code) &&
    (filter.since === undefined || at >= filter.since)
  );
}

/** The bytes as text where they are UTF-8 to the last one. */
function textOf(bytes: Buffer | null): string | null {
  if (bytes === null) return null;
  const text = bytes.toString('utf8');
  return Buffer.from(text, 'utf8').equals(bytes) ? text : null;
}
