import { createRequire } from 'node:module';
import type { FetchedRecord } from './fetchedRecord.js';

export type TransactionalRecord = Pick<FetchedRecord, 'offset' | 'key' | 'isControlRecord' | 'batchContext'>;

/** One partition of a fetch answer. */
export interface FetchedPartition {
  /** Null where nothing was aborted, or the fetch reads uncommitted records. */
  abortedTransactions?: readonly { readonly producerId: string; readonly firstOffset: string }[] | null;
  readonly messages: readonly TransactionalRecord[];
}

/**
 * Hides the records of aborted transactions: they become control records, which the client library reads past.
 *
 * The library's own filter enters one aborted transaction per record and takes the broker's list for sorted by first
 * offset, whereas it is sorted by the abort markers. Of two transactions that overlap in a partition it may deliver the
 * one that it enters too late:
 *
 *   offset  444        445        448           449
 *           41: data   42: data   42: aborted   41: aborted      listed: 42 from 445, 41 from 444
 *
 * There 444 would be delivered. Here the transactions are entered by first offset, as many as have begun, as the Java
 * client does (KIP-98).
 */
export function hideAborted(partition: FetchedPartition): void {
  const { abortedTransactions, messages } = partition;
  if (abortedTransactions === undefined || abortedTransactions === null || abortedTransactions.length === 0) return;
  const upcoming = abortedTransactions
    .map(({ producerId, firstOffset }) => ({ producerId, firstOffset: Number(firstOffset) }))
    .sort((a, b) => a.firstOffset - b.firstOffset);
  const aborting = new Set<string>();
  let next = 0;
  for (const record of messages) {
    for (let entered = upcoming[next]; entered !== undefined && entered.firstOffset <= record.offset;) {
      aborting.add(entered.producerId);
      entered = upcoming[++next];
    }
    const { producerId, inTransaction } = record.batchContext;
    if (record.isControlRecord) {
      if (isAbortMarker(record)) aborting.delete(producerId);
    } else if (inTransaction && aborting.has(producerId)) record.isControlRecord = true;
  }
  // All is decided: the library's filter finds nothing left to do.
  partition.abortedTransactions = [];
}

/** Key of a control record: version, then type, two bytes each; type 0 is an abort. */
function isAbortMarker({ key }: TransactionalRecord): boolean {
  return key !== null && key.length >= 4 && key.readInt16BE(2) === 0;
}

interface FetchAnswer {
  readonly responses: readonly { readonly partitions: readonly FetchedPartition[] }[];
}

interface FetchingBroker {
  fetch: (this: FetchingBroker, request: object) => Promise<FetchAnswer>;
}

const REPAIRED = Symbol.for('tidemill.kafkajs.hideAborted');

/**
 * Has every fetch of the client library in this process pass `hideAborted`. There is no public way in: the class of its
 * connections is taken from its private modules, of the version that is pinned.
 */
export function repairReadCommitted(): void {
  const require = createRequire(import.meta.url);
  const { prototype } = require('kafkajs/src/broker/index.js') as { prototype: FetchingBroker & { [REPAIRED]?: true } };
  if (prototype[REPAIRED] === true) return;
  const { fetch } = prototype;
  prototype.fetch = async function (request) {
    const answer = await fetch.call(this, request);
    for (const { partitions } of answer.responses) for (const partition of partitions) hideAborted(partition);
    return answer;
  };
  prototype[REPAIRED] = true;
}
