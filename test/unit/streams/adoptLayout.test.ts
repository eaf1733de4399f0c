import { describe, expect, test } from 'vitest';
import { customerSpending, moment, terminalRisk, transactions } from '../../../examples/fraud/project.js';
import { featureService, type ServiceInput } from '../../../features/authoring/featureService.js';
import { createRequestOperator } from '../../../features/requestOperator.js';
import { layOut, type VectorLayout } from '../../../features/vectorLayout.js';
import { blockInputs, compileAdoption } from '../../../streams/blocks/adoptLayout.js';
import { decodeBlock, encodeBlock, type Block } from '../../../streams/blocks/block.js';

const layoutOf = (...inputs: readonly ServiceInput[]): VectorLayout =>
  layOut([featureService('inputs', { on: transactions, inputs }).compiled]);
const values = [1, Date.parse('2018-06-02T03:00:00Z'), 2, 3, 1_250];

/** A block of one row whose columns count up from 1, as a worker of that layout sends it. */
function sent(layout: VectorLayout, absent: readonly number[] | null = null): Block {
  const vector = Float64Array.from({ length: layout.width }, (_, at) => at + 1);
  const block: Block = {
    stage: 'customer',
    upstream: 0,
    upstreams: 1,
    watermark: 5,
    progress: 1_500,
    isIdle: false,
    isLagging: true,
    isFeed: false,
    sourceTopic: 'p.transactions',
    sourcePartition: 0,
    sourceRange: [3, 10],
    layout: layout.hash,
    inputs: blockInputs(layout),
    absent,
    folded: {},
    requests: { card: { 2: [0, 17] } },
    rows: [{ offset: 7, values, vector, replay: null }],
  };
  return decodeBlock(transactions.compiled, encodeBlock(transactions.compiled, block));
}
const nothingAhead = (): boolean => false;
/** Columns of an input in a block, by its name. */
function columnsOf(layout: VectorLayout, { rows }: Block, { compiled }: ServiceInput): number[] {
  const { start } = layout.inputs.find(({ input }) => input.view.hash === compiled.hash) as { start: number };
  return [...(rows[0]?.vector ?? [])].slice(start, start + compiled.features.length);
}

describe('a block', () => {
  test('of the reader’s own layout is taken as it is', () => {
    const layout = layoutOf(customerSpending, moment);
    const block = sent(layout);
    expect(compileAdoption(layout, nothingAhead)(block)).toBe(block);
  });

  test('of another plan is read by what its columns are, not by where they stand', () => {
    const [written, read] = [layoutOf(terminalRisk, customerSpending), layoutOf(customerSpending, terminalRisk)];
    const block = sent(written);
    const adopted = compileAdoption(read, nothingAhead)(block);
    for (const view of [customerSpending, terminalRisk])
      expect(columnsOf(read, adopted, view)).toEqual(columnsOf(written, block, view));
    expect([adopted.layout, adopted.absent]).toEqual([read.hash, null]);
  });

  test('that lacks a view says so, unless the view’s stage is yet to come', () => {
    const read = layoutOf(customerSpending, terminalRisk);
    const block = sent(layoutOf(customerSpending));
    expect(compileAdoption(read, nothingAhead)(block).absent).toEqual([1]);
    expect(compileAdoption(read, ({ view }) => view.name === 'terminal_risk')(block).absent).toBeNull();
    expect(columnsOf(read, compileAdoption(read, nothingAhead)(block), terminalRisk).every(Number.isNaN)).toBe(true);
  });

  test('whose columns were absent for its writer does not have them', () => {
    const read = layoutOf(customerSpending);
    const block = sent(layoutOf(terminalRisk, customerSpending), [1]);
    expect(compileAdoption(read, nothingAhead)(block).absent).toEqual([0]);
  });

  test('gets the features of the request itself where its writer knew none', () => {
    const read = layoutOf(moment, customerSpending);
    const adopted = compileAdoption(read, nothingAhead)(sent(layoutOf(customerSpending)));
    const expected = new Float64Array(moment.compiled.features.length);
    createRequestOperator(moment.compiled)(values, expected, 0);
    expect(columnsOf(read, adopted, moment)).toEqual([...expected]);
    expect(adopted.absent).toBeNull();
  });
});
