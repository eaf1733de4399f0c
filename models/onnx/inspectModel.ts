import { TidemillError } from '../../contracts/errors.js';

/** Operator sets that every build of ONNX Runtime has; `ai.onnx` is the long name of ''. */
const STANDARD_DOMAINS: ReadonlySet<string> = new Set(['', 'ai.onnx', 'ai.onnx.ml']);

/**
 * Looks through a model file before anything runs it: it must stand for itself. Refused are operators outside the ONNX
 * standard (they are code of a runtime, not of the model), functions of its own, and tensors that lie in other files.
 *
 * Source: onnx.proto3. Nested graphs (of If, Loop, Scan) are looked through too.
 *
 * @returns the operators, as `DOMAIN:OPERATOR`, in file order.
 * @throws TidemillError MODEL_INVALID
 */
export function inspectModel(bytes: Uint8Array, name: string): string[] {
  const operators: string[] = [];
  const refuse = (problem: string): never => {
    throw new TidemillError('MODEL_INVALID', `${name} is refused: ${problem}`, { name, problem });
  };

  const tensor = (message: Uint8Array): void => {
    for (const { field, value } of fieldsOf(message)) {
      const isExternal = field === 13 || (field === 14 && value === 1);
      if (isExternal) refuse('it keeps a tensor in another file');
    }
  };
  const sparseTensor = (message: Uint8Array): void => {
    for (const { field, value } of fieldsOf(message)) if (field === 1 || field === 2) tensor(asBytes(value));
  };
  const attribute = (message: Uint8Array): void => {
    for (const { field, value } of fieldsOf(message)) {
      if (field === 5 || field === 10) tensor(asBytes(value));
      else if (field === 6 || field === 11) graph(asBytes(value));
      else if (field === 22 || field === 23) sparseTensor(asBytes(value));
    }
  };
  const node = (message: Uint8Array): void => {
    let [operator, domain] = ['', ''];
    for (const { field, value } of fieldsOf(message)) {
      if (field === 4) operator = asText(value);
      else if (field === 7) domain = asText(value);
      else if (field === 5) attribute(asBytes(value));
    }
    if (!STANDARD_DOMAINS.has(domain)) refuse(`operator ${operator} is of ${domain}, not of the ONNX standard`);
    operators.push(`${domain}:${operator}`);
  };
  const graph = (message: Uint8Array): void => {
    for (const { field, value } of fieldsOf(message)) {
      if (field === 1) node(asBytes(value));
      else if (field === 5) tensor(asBytes(value));
      else if (field === 15) sparseTensor(asBytes(value));
    }
  };

  try {
    let graphs = 0;
    for (const { field, value } of fieldsOf(bytes)) {
      if (field === 7) {
        graphs++;
        graph(asBytes(value));
      } else if (field === 25) refuse('it defines functions of its own');
    }
    if (graphs !== 1) refuse(`it has ${graphs} graphs`);
  } catch (error) {
    if (error instanceof MalformedError) refuse(`it is no ONNX file: ${error.message}`);
    throw error;
  }
  return operators;
}

/** A field of a Protocol Buffers message: a number for varints, bytes for what has a length, null for fixed widths. */
interface Field {
  readonly field: number;
  readonly value: number | Uint8Array | null;
}

class MalformedError extends Error {}

function* fieldsOf(message: Uint8Array): Generator<Field> {
  let at = 0;
  const varint = (): number => {
    let value = 0;
    for (let factor = 1; ; factor *= 128) {
      const byte = message[at++];
      if (byte === undefined) throw new MalformedError('it ends within a number');
      // Ten bytes at most; beyond 2^53 digits are lost, which no length or flag reaches.
      if (factor > 2 ** 63) throw new MalformedError('a number is longer than ten bytes');
      value += (byte & 127) * factor;
      if (byte < 128) return value;
    }
  };
  const skip = (length: number): number => {
    const start = at;
    at += length;
    if (at > message.length) throw new MalformedError('it ends within a field');
    return start;
  };
  while (at < message.length) {
    const tag = varint();
    const field = Math.floor(tag / 8);
    if (field === 0) throw new MalformedError('a field has number 0');
    switch (tag % 8) {
      case 0:
        yield { field, value: varint() };
        break;
      case 1:
        skip(8);
        yield { field, value: null };
        break;
      case 2: {
        const length = varint();
        const start = skip(length);
        yield { field, value: message.subarray(start, start + length) };
        break;
      }
      case 5:
        skip(4);
        yield { field, value: null };
        break;
      default:
        throw new MalformedError(`wire type ${tag % 8}`);
    }
  }
}

function asBytes(value: Field['value']): Uint8Array {
  if (value instanceof Uint8Array) return value;
  throw new MalformedError('a message is written as a number');
}

function asText(value: Field['value']): string {
  return new TextDecoder().decode(asBytes(value));
}
