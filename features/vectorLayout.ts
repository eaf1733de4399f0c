import type { CompiledInput, CompiledService } from './compiledView.js';
import { hashOf } from './hash.js';

/**
 * One vector for several services: the features of every input that one of them reads, each once.
 *
 *   service A: spending, moment          layout:  spending | moment | risk
 *   service B: moment, risk              A reads columns 0..n of it as they are, B picks its own
 */
export interface VectorLayout {
  /** Identity: equal layouts have the same columns at the same places. */
  readonly hash: string;
  readonly width: number;
  readonly inputs: readonly LayoutInput[];
}

export interface LayoutInput {
  /** What its columns are, whichever layout they stand in; see inputIdentity. */
  readonly identity: string;
  readonly input: CompiledInput;
  /** First column. */
  readonly start: number;
}

/** Hexadecimal digits of a view's hash that stand for it: 64 bits. */
const HASH_DIGITS = 16;

/** Short name of a view in snapshots, blocks and leases. */
export function viewIdentity(view: { readonly hash: string }): string {
  return view.hash.slice(0, HASH_DIGITS);
}

/** Two inputs with one identity have equal columns: the same view, looked up by the same field of the request. */
export function inputIdentity(input: CompiledInput): string {
  const view = viewIdentity(input.view);
  return input.kind === 'request' ? view : `${view}/${input.requestKey}`;
}

/** The layout of several services; the inputs of the first come first, so that its vector is the beginning. */
export function layOut(services: readonly CompiledService[]): VectorLayout {
  const inputs: LayoutInput[] = [];
  let width = 0;
  for (const input of services.flatMap((service) => service.inputs)) {
    const identity = inputIdentity(input);
    if (inputs.some((known) => known.identity === identity)) continue;
    inputs.push({ identity, input, start: width });
    width += input.view.features.length;
  }
  return { hash: hashOf(inputs.map(({ identity }) => identity)), width, inputs };
}

/** How a service's vector is read from that of a layout. */
export interface Projection {
  /** For every column of the service, its column in the layout. */
  readonly columns: Int32Array;
  /** Is the service's vector the layout's, column by column? */
  readonly isWhole: boolean;
  /** Indexes into the layout's inputs of what the service reads. */
  readonly inputs: readonly number[];
}

/** Null where the layout lacks an input; `missingInputs` says which. */
export function projectionOf(layout: VectorLayout, service: CompiledService): Projection | null {
  const inputs = service.inputs.map((input) => {
    const identity = inputIdentity(input);
    return layout.inputs.findIndex((known) => known.identity === identity);
  });
  if (inputs.includes(-1)) return null;
  const columns = Int32Array.from(service.columns, ({ input, feature }) => {
    const { start } = layout.inputs[inputs[input] as number] as LayoutInput;
    return start + feature;
  });
  const isWhole = columns.length === layout.width && columns.every((column, at) => column === at);
  return { columns, isWhole, inputs };
}

/** Names of the views that a service reads and the layout lacks. */
export function missingInputs(layout: VectorLayout, service: CompiledService): readonly string[] {
  const known = new Set(layout.inputs.map(({ identity }) => identity));
  return service.inputs.filter((input) => !known.has(inputIdentity(input))).map(({ view }) => view.name);
}

/** Copies the columns of a service out of `rows` vectors of a layout, row-major. */
export function projectRows(
  { columns }: Projection,
  values: Float32Array,
  width: number,
  rows: number,
): Float32Array<ArrayBuffer> {
  const projected = new Float32Array(rows * columns.length);
  let at = 0;
  for (let row = 0; row < rows; row++) {
    const start = row * width;
    for (let column = 0; column < columns.length; column++)
      projected[at++] = values[start + (columns[column] as number)] as number;
  }
  return projected;
}

/** The vector of a service as JSON has it: null for a null feature. */
export function projectVector({ columns }: Projection, vector: Float64Array): (number | null)[] {
  return Array.from(columns, (column) => {
    const value = vector[column] as number;
    return Number.isNaN(value) ? null : value;
  });
}
