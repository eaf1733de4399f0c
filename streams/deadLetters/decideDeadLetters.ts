import {
  KEPT_HEADER_PREFIX,
  REPLAY_HEADER,
  type DeadLetter,
  type DeadLetterChange,
  type DeadLetterDecision,
  type DeadLetterFilter,
  type ReplayMark,
} from '../../contracts/deadLetters.js';
import { deadLetterDecisionsTopic } from '../../contracts/topics.js';
import type { Log, LogRecord, OutgoingRecord } from '../../stores/log/log.js';
import { findLetter, openLetters, readDecisions, type OpenLetter } from './readDeadLetters.js';

/** Dead letters of one transaction. */
const LETTERS_PER_TRANSACTION = 200;

/** What is decided about which dead letters. */
export interface Decide {
  readonly project: string;
  readonly decision: DeadLetterDecision['decision'];
  /** By id, or all open ones that a filter means. */
  readonly which: { readonly ids: readonly string[] } | { readonly filter: DeadLetterFilter };
  readonly by: string;
  readonly reason: string;
  /** Wall clock, ms. */
  readonly now: number;
  /** Why a topic takes no replays any more; null where it does. */
  readonly refusal?: (topic: string) => Promise<string | null>;
}

/** What a decision would change, as things are now. */
export async function planDecision(log: Log, decide: Decide): Promise<DeadLetterChange> {
  const { chosen, skipped } = await choose(log, decide);
  return { decision: decide.decision, applied: false, letters: chosen.map(({ letter }) => letter), skipped };
}

/**
 * Replays or discards dead letters, each once, however often it is asked for and by however many at a time:
 *
 *   1. fence: whoever was deciding for this project before can commit no more
 *   2. read what is decided: nothing is being decided any more but here
 *   3. in one transaction: the record into the topic and partition where it failed, and the decision
 *
 * A process that dies in between leaves the rest open.
 *
 * @throws TidemillError PRODUCER_FENCED where somebody else began to decide meanwhile; DEAD_LETTER_NOT_FOUND
 */
export async function applyDecision(log: Log, decide: Decide): Promise<DeadLetterChange> {
  const { project, decision, by, reason, now } = decide;
  const decisions = deadLetterDecisionsTopic(project);
  await log.ensureTopics([{ topic: decisions, partitions: 1, compacted: true }]);
  // 1 fence
  const producer = await log.transactionalProducer(`${project}.dead-letter-decisions`);
  try {
    // 2 what is open
    const { chosen, skipped } = await choose(log, decide);
    const value = JSON.stringify({ decision, at: now, by, reason } satisfies DeadLetterDecision);
    // 3 records and decisions
    for (let at = 0; at < chosen.length; at += LETTERS_PER_TRANSACTION) {
      const part = chosen.slice(at, at + LETTERS_PER_TRANSACTION);
      await producer.begin();
      await producer.send(
        part.flatMap(({ letter, record }) => [
          ...(decision === 'replayed' ? [replayOf(letter, record)] : []),
          { topic: decisions, partition: 0, key: letter.id, value },
        ]),
      );
      await producer.commit();
    }
    return { decision, applied: true, letters: chosen.map(({ letter }) => letter), skipped };
  } finally {
    await producer.close();
  }
}

/** The record as it was, and what it is: its mark names the first failure, by which tasks know it again. */
function replayOf(
  { topic, partition, origin, attempt }: DeadLetter,
  { key, value, headers }: LogRecord,
): OutgoingRecord {
  const mark: ReplayMark = { ...origin, attempt };
  const kept: Record<string, Buffer | string> = {};
  for (const [name, header] of Object.entries(headers)) {
    if (header !== undefined && name.startsWith(KEPT_HEADER_PREFIX))
      kept[name.slice(KEPT_HEADER_PREFIX.length)] = header;
  }
  return { topic, partition, key, value, headers: { ...kept, [REPLAY_HEADER]: JSON.stringify(mark) } };
}

async function choose(
  log: Log,
  { project, decision, which, refusal }: Decide,
): Promise<{ chosen: OpenLetter[]; skipped: DeadLetterChange['skipped'] }> {
  const skipped: { id: string; why: string }[] = [];
  let meant: OpenLetter[] = [];
  let limit = Number.POSITIVE_INFINITY;
  if ('filter' in which) {
    const { limit: atMost, ...all } = which.filter;
    limit = atMost ?? limit;
    meant = await openLetters(log, project, all);
  } else {
    const decisions = await readDecisions(log, project);
    for (const id of new Set(which.ids)) {
      const found = await findLetter(log, project, id);
      const known = decisions.get(id);
      if (known === undefined) meant.push(found);
      else skipped.push({ id, why: `${known.decision} by ${known.by} at ${new Date(known.at).toISOString()}` });
    }
  }
  if (decision === 'discarded') return { chosen: meant.slice(0, limit), skipped };
  const refusals = new Map<string, string | null>();
  const chosen: OpenLetter[] = [];
  for (const each of meant) {
    // Those that cannot be replayed do not stand in the way of younger ones.
    if (chosen.length >= limit) break;
    const { topic } = each.letter;
    if (!refusals.has(topic)) refusals.set(topic, await refusalOf(log, topic, refusal));
    const why = refusals.get(topic) ?? null;
    if (why === null) chosen.push(each);
    else skipped.push({ id: each.letter.id, why });
  }
  return { chosen, skipped };
}

async function refusalOf(log: Log, topic: string, refusal: Decide['refusal']): Promise<string | null> {
  if ((await log.partitionCount(topic)) === null) return `topic ${topic} does not exist any more`;
  return (await refusal?.(topic)) ?? null;
}
