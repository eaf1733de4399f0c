import type { CompiledField, CompiledStream } from './compiledView.js';
import { checkedValue, parseEvent } from './eventContract.js';
import type { Value } from './types.js';
import { powerOfTen } from './vector.js';

/** Digits that a double holds exactly, whatever they are. */
const EXACT_DIGITS = 15;
const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const OPEN = 0x7b;
const CLOSE = 0x7d;
const BACKSLASH = 0x5c;
const MINUS = 0x2d;
const POINT = 0x2e;
const ZERO = 0x30;
const NINE = 0x39;

/**
 * Reads events as `parseEvent` does, with the same values and the same errors, into one array that is used again and again.
 *
 * Flat objects of plain ASCII are read from their bytes, without text or objects in between; whatever else there is
 * (escapes, nested values, exponents, many digits, and everything that is wrong) is left to `parseEvent`, which decides.
 * A property test holds both to one verdict. It is the hot path of windows.
 */
export class EventReader {
  /** Values of the event read last, in the order of the stream's fields. Strings that nobody needs are ''. */
  readonly values: Value[];
  private readonly names: readonly Buffer[];
  private readonly needed: readonly boolean[];
  private readonly isSeen: Uint8Array;
  /** A field that every object inherits is absent in the bytes and present in the object. */
  private readonly isPlain: boolean;
  private bytes: Buffer = Buffer.alloc(0);
  private at = 0;

  /** @param needed fields whose values are used; all where it is not given. */
  constructor(
    readonly stream: CompiledStream,
    needed?: ReadonlySet<number>,
  ) {
    this.values = new Array<Value>(stream.fields.length).fill(null);
    this.names = stream.fields.map(({ name }) => Buffer.from(`${name}"`));
    this.needed = stream.fields.map((_, at) => needed?.has(at) ?? true);
    this.isSeen = new Uint8Array(stream.fields.length);
    this.isPlain = !stream.fields.some(({ name }) => name in Object.prototype);
  }

  /** @throws TidemillError as parseEvent does; `values` are of no event then. */
  read(bytes: Buffer | null): void {
    if (bytes !== null && this.isPlain && this.scan(bytes)) return;
    const { values } = parseEvent(this.stream, bytes);
    for (let at = 0; at < values.length; at++) this.values[at] = values[at] as Value;
  }

  /** False where the bytes are not plain enough; nothing is said about them then. */
  private scan(bytes: Buffer): boolean {
    this.bytes = bytes;
    this.at = 0;
    this.isSeen.fill(0);
    const { fields } = this.stream;
    if (this.next() !== OPEN) return false;
    let expected = 0;
    for (;;) {
      if (this.next() !== QUOTE) return false;
      const field = this.fieldHere(expected);
      if (field === -1) {
        if (!this.skipText()) return false;
      } else this.at += (this.names[field] as Buffer).length;
      if (this.next() !== COLON) return false;
      this.skipSpace();
      if (field === -1) {
        if (!this.skipValue()) return false;
      } else {
        if (!this.readValue(field, fields[field] as CompiledField)) return false;
        this.isSeen[field] = 1;
        expected = field + 1;
      }
      const end = this.next();
      if (end === CLOSE) break;
      if (end !== COMMA) return false;
    }
    this.skipSpace();
    if (this.at !== bytes.length) return false;
    for (let field = 0; field < fields.length; field++) {
      if (this.isSeen[field] === 1) continue;
      if (!(fields[field] as CompiledField).nullable) return false;
      this.values[field] = null;
    }
    return true;
  }

  /** The field whose name stands here, the expected one first; -1 where it is none. */
  private fieldHere(expected: number): number {
    const { names } = this;
    if (expected < names.length && this.isHere(names[expected] as Buffer)) return expected;
    for (let field = 0; field < names.length; field++) if (this.isHere(names[field] as Buffer)) return field;
    return -1;
  }

  private isHere(name: Buffer): boolean {
    const { bytes, at } = this;
    for (let index = 0; index < name.length; index++) if (bytes[at + index] !== name[index]) return false;
    return true;
  }

  private readValue(index: number, field: CompiledField): boolean {
    const byte = this.bytes[this.at];
    const { kind } = field.type;
    if (byte === QUOTE) {
      if (kind !== 'string' && kind !== 'timestamp') return false;
      const from = ++this.at;
      if (!this.skipText()) return false;
      if (kind === 'string' && !(this.needed[index] as boolean)) this.values[index] = '';
      else return this.check(index, field, this.bytes.toString('latin1', from, this.at - 1));
      return true;
    }
    if (byte === MINUS || (byte !== undefined && byte >= ZERO && byte <= NINE)) return this.readNumber(index, field);
    if (this.skipWord('true')) return this.check(index, field, true);
    if (this.skipWord('false')) return this.check(index, field, false);
    if (!this.skipWord('null') || !field.nullable) return false;
    this.values[index] = null;
    return true;
  }

  /** Up to 15 digits: mantissa and power of ten are exact, so their quotient is the double that JSON.parse gives. */
  private readNumber(index: number, field: CompiledField): boolean {
    const { bytes } = this;
    let { at } = this;
    const isNegative = bytes[at] === MINUS;
    if (isNegative) at++;
    const first = at;
    let mantissa = 0;
    let byte = bytes[at] as number;
    while (byte >= ZERO && byte <= NINE) {
      mantissa = mantissa * 10 + (byte - ZERO);
      byte = bytes[++at] as number;
    }
    let digits = at - first;
    if (digits === 0 || (digits > 1 && bytes[first] === ZERO)) return false;
    let decimals = 0;
    if (byte === POINT) {
      const point = at;
      byte = bytes[++at] as number;
      while (byte >= ZERO && byte <= NINE) {
        mantissa = mantissa * 10 + (byte - ZERO);
        byte = bytes[++at] as number;
      }
      decimals = at - point - 1;
      if (decimals === 0) return false;
      digits += decimals;
    }
    if (digits > EXACT_DIGITS || byte === 0x65 || byte === 0x45) return false;
    this.at = at;
    const signed = isNegative ? -mantissa : mantissa;
    const { type } = field;
    if (decimals === 0 && (type.kind === 'int' || type.kind === 'timestamp')) {
      this.values[index] = signed + 0;
      return true;
    }
    // Within 15 digits the scaled decimal is exact, and round(x * 10^s) finds it.
    if (type.kind === 'decimal' && decimals <= type.scale && digits + type.scale - decimals <= EXACT_DIGITS) {
      this.values[index] = signed * powerOfTen(type.scale - decimals) + 0;
      return true;
    }
    return this.check(index, field, signed / powerOfTen(decimals));
  }

  /** A value that breaks the contract is left to `parseEvent`: another field may break it before. */
  private check(index: number, field: CompiledField, raw: unknown): boolean {
    try {
      this.values[index] = checkedValue(this.stream, field, raw);
      return true;
    } catch {
      return false;
    }
  }

  /** A value that the contract does not name. */
  private skipValue(): boolean {
    const { bytes } = this;
    const byte = bytes[this.at];
    if (byte === QUOTE) {
      this.at++;
      return this.skipText();
    }
    if (byte === MINUS || (byte !== undefined && byte >= ZERO && byte <= NINE)) return this.skipInteger();
    return this.skipWord('true') || this.skipWord('false') || this.skipWord('null');
  }

  private skipInteger(): boolean {
    const { bytes } = this;
    if (bytes[this.at] === MINUS) this.at++;
    const first = this.at;
    while ((bytes[this.at] as number) >= ZERO && (bytes[this.at] as number) <= NINE) this.at++;
    const byte = bytes[this.at];
    if (byte === POINT || byte === 0x65 || byte === 0x45) return false;
    return this.at > first && (this.at === first + 1 || bytes[first] !== ZERO);
  }

  /** To behind the quote that ends a text of plain ASCII. */
  private skipText(): boolean {
    const { bytes } = this;
    for (let { at } = this; at < bytes.length; at++) {
      const byte = bytes[at] as number;
      if (byte === QUOTE) {
        this.at = at + 1;
        return true;
      }
      if (byte < 0x20 || byte >= 0x80 || byte === BACKSLASH) return false;
    }
    return false;
  }

  private skipWord(word: string): boolean {
    const { bytes, at } = this;
    for (let index = 0; index < word.length; index++) if (bytes[at + index] !== word.charCodeAt(index)) return false;
    this.at = at + word.length;
    return true;
  }

  private skipSpace(): void {
    const { bytes } = this;
    let byte = bytes[this.at];
    while (byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09) byte = bytes[++this.at];
  }

  /** The next byte that is no space; undefined at the end. */
  private next(): number | undefined {
    this.skipSpace();
    return this.bytes[this.at++];
  }
}
