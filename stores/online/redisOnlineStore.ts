import { Redis } from 'ioredis';
import { isTidemillError, messageOf, TidemillError } from '../../contracts/errors.js';
import type { Value } from '../../features/types.js';
import { keyText, viewName } from './names.js';
import type {
  EntryWrite,
  MarkOutcome,
  MarkPlace,
  OnlineEntry,
  OnlineMark,
  OnlineRead,
  OnlineStore,
  OnlineWriter,
  ServeOutcome,
  ViewIdentity,
  WriteOutcome,
  WriteSequence,
} from './onlineStore.js';
import { MARK_SCRIPT, SERVE_SCRIPT, WRITE_SCRIPT } from './redisScripts.js';
import { retired } from './retired.js';

/** An answer that takes longer counts as none: readers would rather hear that soon. */
const COMMAND_TIMEOUT_MS = 5_000;
/** Longest wait between two attempts to connect. */
const MAX_RETRY_MS = 500;
/** One script writes at most so many entries and bytes: Redis answers nobody else meanwhile. */
const MAX_ENTRIES = 200;
const MAX_BYTES = 1 << 20;
const SCAN_COUNT = 1_000;

/**
 * The online store in Redis 7 (6 will do). Connects by itself, again and again, in the background: what is asked for while
 * nobody answers fails with ONLINE_UNAVAILABLE after one more attempt.
 *
 * @param options.url `redis://` or `rediss://` with user, password, host, port and database.
 */
export function openRedisOnlineStore(options: { readonly url: string; readonly place: string }): OnlineStore {
  const redis = new Redis(options.url, {
    commandTimeout: COMMAND_TIMEOUT_MS,
    connectTimeout: COMMAND_TIMEOUT_MS,
    maxRetriesPerRequest: 1,
    retryStrategy: (times) => Math.min(MAX_RETRY_MS, times * 50),
    // A master that has become a replica goes on answering whoever is connected: only a new connection finds its successor.
    reconnectOnError: ({ message }) => message.includes('READONLY'),
    lazyConnect: true,
  });
  // Every command that suffers says so itself.
  redis.on('error', () => undefined);
  return new RedisOnlineStore(redis, options.place);
}

/** The first entries of a writer, or of one who does without. */
const NO_SEQUENCE: WriteSequence = { acknowledged: 0, sent: 0 };

type Argument = string | number | Buffer;

class RedisOnlineStore implements OnlineStore {
  /** Generations last found serving, by view: a read asks for both at once and is repeated where it has changed. */
  private readonly lastServing = new Map<string, number>();

  constructor(
    private readonly redis: Redis,
    readonly place: string,
  ) {}

  async read(view: ViewIdentity, keys: readonly Value[]): Promise<OnlineRead> {
    const name = viewName(view);
    for (;;) {
      const assumed = this.lastServing.get(name) ?? null;
      const pipeline = this.redis.pipeline();
      if (assumed !== null) {
        pipeline.callBuffer('HGETALL', marksKey(name, assumed));
        for (const key of keys) pipeline.callBuffer('HGETALL', entryKey(name, assumed, key));
      }
      // Asked last: a generation that still serves had not been dropped when its entries were read.
      const replies = await this.replies(pipeline.get(servingKey(name)).exec());
      const serving = replies.pop() as string | null;
      if (serving === null) return { generation: null, entries: keys.map(() => null), marks: new Map() };
      const generation = Number(serving);
      if (generation === assumed) {
        const [marks, ...hashes] = replies as Buffer[][];
        return { generation, entries: hashes.map(entryFrom), marks: marksFrom(marks ?? []) };
      }
      this.lastServing.set(name, generation);
    }
  }

  async marks(view: ViewIdentity, generation: number): Promise<ReadonlyMap<number, OnlineMark>> {
    const found = await this.attempt(() => this.redis.callBuffer('HGETALL', marksKey(viewName(view), generation)));
    return marksFrom(found as Buffer[]);
  }

  async serving(view: ViewIdentity): Promise<number | null> {
    const found = await this.attempt(() => this.redis.get(servingKey(viewName(view))));
    return found === null ? null : Number(found);
  }

  async write(
    view: ViewIdentity,
    writer: OnlineWriter,
    writes: readonly EntryWrite[],
    sequence?: WriteSequence,
  ): Promise<WriteOutcome[]> {
    const outcomes: WriteOutcome[] = [];
    const name = viewName(view);
    let { acknowledged, sent } = sequence ?? NO_SEQUENCE;
    for (const batch of batches(writes)) {
      sent += batch.length;
      const keys = [servingKey(name), sequencesKey(name, writer.generation)];
      keys.push(...batch.map(({ key }) => entryKey(name, writer.generation, key)));
      const reached = sequence === undefined ? '' : sent;
      const args: Argument[] = [writer.generation, writer.name, writer.partition, acknowledged, reached];
      for (const write of batch) pushEntry(args, write);
      const answers = (await this.script(view, writer, WRITE_SCRIPT, keys, args)) as WriteOutcome[];
      // Nothing of what is left is written either.
      if (answers[0] === 'lost') return [...outcomes, ...writes.slice(outcomes.length).map(() => 'lost' as const)];
      outcomes.push(...answers);
      if (sequence !== undefined) acknowledged = sent;
    }
    return outcomes;
  }

  async mark(
    view: ViewIdentity,
    writer: OnlineWriter,
    mark: OnlineMark,
    after: MarkPlace | null,
    acknowledged = 0,
  ): Promise<MarkOutcome> {
    const name = viewName(view);
    const { generation, partition } = writer;
    const place = [mark.offset, mark.corrections, after?.offset ?? '', after?.corrections ?? ''];
    const args = [generation, partition, ...place, JSON.stringify(mark), writer.name, acknowledged];
    const keys = [servingKey(name), marksKey(name, generation), sequencesKey(name, generation)];
    const [outcome] = await this.script(view, writer, MARK_SCRIPT, keys, args);
    return outcome as MarkOutcome;
  }

  async serve(view: ViewIdentity, writer: OnlineWriter, partitions: number): Promise<ServeOutcome> {
    const name = viewName(view);
    const { generation, partition } = writer;
    for (;;) {
      const asked = this.redis.pipeline().get(servingKey(name)).smembers(replacedKey(name));
      const [serving, members] = (await this.replies(asked.exec())) as [string | null, string[]];
      const [from, replaced] = [serving === null ? null : Number(serving), members.map(Number)];
      if (from === generation) return { kind: 'serving', replaced };
      const keys = [servingKey(name), marksKey(name, generation), readyKey(name, generation), replacedKey(name)];
      keys.push(marksKey(name, from ?? generation));
      const args = [generation, partition, partitions, from ?? ''];
      const [kind] = await this.script(view, writer, SERVE_SCRIPT, keys, args);
      if (kind === 'switched') return { kind, replaced: from === null ? replaced : [...replaced, from] };
      if (kind === 'behind') return { kind };
    }
  }

  async drop(view: ViewIdentity, generation: number): Promise<void> {
    if ((await this.serving(view)) === generation) return;
    const name = viewName(view);
    await this.unlinkUnder(`${prefixOf(name)}g${generation}:`);
    await this.attempt(() => this.redis.srem(replacedKey(name), generation));
  }

  async remove(view: ViewIdentity): Promise<void> {
    const name = viewName(view);
    // First: from here on readers see that there is nothing, not a view that grows less.
    await this.attempt(() => this.redis.unlink(servingKey(name)));
    await this.unlinkUnder(prefixOf(name));
  }

  private async unlinkUnder(prefix: string): Promise<void> {
    const pattern = `${prefix.replaceAll(/[*?[\]\\]/g, '\\$&')}*`;
    let cursor = '0';
    do {
      const [next, keys] = await this.attempt(() => this.redis.scan(cursor, 'MATCH', pattern, 'COUNT', SCAN_COUNT));
      if (keys.length > 0) await this.attempt(() => this.redis.unlink(...keys));
      cursor = next;
    } while (cursor !== '0');
  }

  async close(): Promise<void> {
    // What was answered is done; a server that is away need not be waited for.
    this.redis.disconnect();
    return Promise.resolve();
  }

  private async script(
    view: ViewIdentity,
    writer: OnlineWriter,
    text: string,
    keys: readonly string[],
    args: readonly Argument[],
  ): Promise<unknown[]> {
    const reply = await this.attempt(() => this.redis.eval(text, keys.length, ...keys, ...args));
    const [first, serving] = reply as unknown[];
    if (first === 'retired') throw retired(view, writer, Number(serving));
    return reply as unknown[];
  }

  private async replies(pipeline: Promise<[error: Error | null, reply: unknown][] | null>): Promise<unknown[]> {
    return this.attempt(async () => {
      const results = await pipeline;
      return (results ?? []).map(([error, reply]) => {
        if (error !== null) throw error;
        return reply;
      });
    });
  }

  private async attempt<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      if (isTidemillError(error)) throw error;
      throw new TidemillError(
        'ONLINE_UNAVAILABLE',
        `Redis at ${this.place}: ${messageOf(error)}`,
        { place: this.place },
        { cause: error },
      );
    }
  }
}

function prefixOf(name: string): string {
  return `tidemill:{${name}}:`;
}
function servingKey(name: string): string {
  return `${prefixOf(name)}serving`;
}
function replacedKey(name: string): string {
  return `${prefixOf(name)}replaced`;
}
function marksKey(name: string, generation: number): string {
  return `${prefixOf(name)}g${generation}:marks`;
}
function readyKey(name: string, generation: number): string {
  return `${prefixOf(name)}g${generation}:ready`;
}
function sequencesKey(name: string, generation: number): string {
  return `${prefixOf(name)}g${generation}:sequences`;
}
function entryKey(name: string, generation: number, key: Value): string {
  return `${prefixOf(name)}g${generation}:k:${keyText(key)}`;
}

function pushEntry(args: Argument[], { offset, corrections = 0, base, chunks, dropped }: EntryWrite): void {
  args.push(offset, corrections, base ?? '', dropped.length, ...dropped, chunks.length);
  for (const { start, bytes } of chunks) {
    args.push(start, Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength));
  }
}

/** Cuts writes so that no script is long, and every one has an entry at least. */
function* batches(writes: readonly EntryWrite[]): Iterable<EntryWrite[]> {
  let batch: EntryWrite[] = [];
  let bytes = 0;
  for (const write of writes) {
    const size = write.chunks.reduce((sum, chunk) => sum + chunk.bytes.length, 0);
    if (batch.length > 0 && (batch.length === MAX_ENTRIES || bytes + size > MAX_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(write);
    bytes += size;
  }
  if (batch.length > 0) yield batch;
}

/** Fields and values one after the other, as Redis gives a hash. */
function entryFrom(hash: readonly Buffer[]): OnlineEntry | null {
  let head: string[] | null = null;
  const chunks: { start: number; bytes: Buffer }[] = [];
  for (let at = 0; at < hash.length; at += 2) {
    const [field, bytes] = [(hash[at] as Buffer).toString('latin1'), hash[at + 1] as Buffer];
    if (field === 'h') head = bytes.toString('utf8').split('|');
    else chunks.push({ start: Number(field), bytes });
  }
  if (head === null) return null;
  chunks.sort((a, b) => a.start - b.start);
  return { offset: Number(head[0]), partition: Number(head[1]), chunks: chunks.map(({ bytes }) => bytes) };
}

function marksFrom(hash: readonly Buffer[]): Map<number, OnlineMark> {
  const marks = new Map<number, OnlineMark>();
  for (let at = 0; at < hash.length; at += 2) {
    marks.set(Number(hash[at]), JSON.parse((hash[at + 1] as Buffer).toString('utf8')) as OnlineMark);
  }
  return marks;
}
