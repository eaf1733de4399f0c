import type { LogRecord } from '../log.js';

/** What all records of one record batch have in common. */
export interface BatchContext {
  readonly producerId: string;
  readonly inTransaction: boolean;
}

type Headers = LogRecord['headers'];

/**
 * A record inside the bytes of a fetch answer. Key and value are cut out when they are asked for: most keys never are.
 */
export class FetchedRecord implements LogRecord {
  /** Of the partition that was fetched; set by the batch that delivers the record. */
  topic = '';
  partition = -1;

  constructor(
    readonly batchContext: BatchContext,
    private readonly bytes: Buffer,
    readonly offset: number,
    readonly timestamp: number,
    private readonly keyStart: number,
    private readonly keyEnd: number,
    private readonly valueStart: number,
    private readonly valueEnd: number,
    readonly headers: Headers,
    /** Control records are read past and never delivered. */
    public isControlRecord: boolean,
  ) {}

  get size(): number {
    return this.keyEnd - this.keyStart + this.valueEnd - this.valueStart;
  }

  get key(): Buffer | null {
    return this.keyStart < 0 ? null : this.bytes.subarray(this.keyStart, this.keyEnd);
  }

  get value(): Buffer | null {
    return this.valueStart < 0 ? null : this.bytes.subarray(this.valueStart, this.valueEnd);
  }
}
