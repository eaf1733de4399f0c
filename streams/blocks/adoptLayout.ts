import type { CompiledInput } from '../../features/compiledView.js';
import { createRequestOperator } from '../../features/requestOperator.js';
import { inputIdentity, type VectorLayout } from '../../features/vectorLayout.js';
import type { Block, BlockRow } from './block.js';

/** Reads a block as one of the reader's own layout. */
export type AdoptLayout = (block: Block) => Block;

/** How the header of a block names the columns of a layout. */
export function blockInputs({ inputs }: VectorLayout): readonly (readonly [string, number])[] {
  return inputs.map(({ identity, input }) => [identity, input.view.features.length] as const);
}

/**
 * Compiles the reader of blocks that were written under any plan. Those of the reader's own layout are taken as they are.
 * In others every column is found by what it is, wherever it stands:
 *
 *   written by    spending | moment             (a worker of older code)
 *   read as       spending | moment | risk      risk is absent, unless its stage is yet to come
 *
 * Features of the request itself are computed here where the writer did not know them: the row has its fields.
 *
 * @param isAhead will this stage, or a later one, compute the input?
 */
export function compileAdoption(layout: VectorLayout, isAhead: (input: CompiledInput) => boolean): AdoptLayout {
  const own = blockInputs(layout);
  const requestParts = new Map(
    layout.inputs.flatMap(({ identity, input }) =>
      input.kind === 'request' ? [[identity, createRequestOperator(input.view)] as const] : [],
    ),
  );
  return (block) => {
    if (block.layout === layout.hash) return block;
    const placeOf = new Map<string, { start: number; columns: number }>();
    let start = 0;
    for (const [at, [identity, columns]] of block.inputs.entries()) {
      if (block.absent === null || !block.absent.includes(at)) placeOf.set(identity, { start, columns });
      start += columns;
    }
    const absent: number[] = [];
    for (const [at, { input }] of layout.inputs.entries()) {
      const isThere = placeOf.has(inputIdentity(input)) || input.kind === 'request' || isAhead(input);
      if (!isThere) absent.push(at);
    }
    const rows = block.rows.map((row): BlockRow => {
      const vector = new Float64Array(layout.width).fill(Number.NaN);
      for (const each of layout.inputs) {
        const from = placeOf.get(each.identity);
        if (from !== undefined) vector.set(row.vector.subarray(from.start, from.start + from.columns), each.start);
        else requestParts.get(each.identity)?.(row.values, vector, each.start);
      }
      return { ...row, vector };
    });
    return { ...block, layout: layout.hash, inputs: own, absent: absent.length === 0 ? null : absent, rows };
  };
}
