import { describe, expect, test } from 'vitest';
import { customerSpending, moment, terminalRisk, transactions } from '../../../examples/fraud/project.js';
import { featureService, type ServiceInput } from '../../../features/authoring/featureService.js';
import type { CompiledService } from '../../../features/compiledView.js';
import {
  layOut,
  missingInputs,
  projectionOf,
  projectRows,
  projectVector,
  type Projection,
} from '../../../features/vectorLayout.js';

const serviceOf = (...inputs: readonly ServiceInput[]): CompiledService =>
  featureService('inputs', { on: transactions, inputs }).compiled;
const widthOf = ({ compiled }: ServiceInput): number => compiled.features.length;

const before = serviceOf(moment, customerSpending);
const after = serviceOf(terminalRisk, moment);

describe('the layout of several services', () => {
  test('has every input once, those of the first service first', () => {
    const { inputs, width } = layOut([before, after]);
    expect(inputs.map(({ input, start }) => [input.view.name, start])).toEqual([
      [moment.compiled.name, 0],
      [customerSpending.compiled.name, widthOf(moment)],
      [terminalRisk.compiled.name, widthOf(moment) + widthOf(customerSpending)],
    ]);
    expect(width).toBe([moment, customerSpending, terminalRisk].reduce((sum, each) => sum + widthOf(each), 0));
  });

  test('is another one where its columns are, and the same where only services are added that read nothing new', () => {
    expect(layOut([before]).hash).not.toBe(layOut([before, after]).hash);
    expect(layOut([before, after]).hash).not.toBe(layOut([after, before]).hash);
    expect(layOut([before, serviceOf(moment)]).hash).toBe(layOut([before]).hash);
  });
});

describe('a service', () => {
  const layout = layOut([before, after]);
  const vector = Float64Array.from({ length: layout.width }, (_, at) => (at === 1 ? Number.NaN : at));

  test('picks its own columns, in its own order', () => {
    const expected = after.columns.map(({ input, feature }) => {
      const start = layout.inputs.find((each) => each.input.view === after.inputs[input]?.view)?.start as number;
      return start + feature === 1 ? null : start + feature;
    });
    expect(projectVector(projectionOf(layout, after) as Projection, vector)).toEqual(expected);
    const rows = projectRows(
      projectionOf(layout, after) as Projection,
      Float32Array.from([...vector, ...vector]),
      layout.width,
      2,
    );
    const numbers = expected.map((each) => each ?? Number.NaN);
    expect([...rows]).toEqual([...numbers, ...numbers]);
  });

  test('that reads the whole layout in order needs no copy', () => {
    expect(projectionOf(layOut([before]), before)?.isWhole).toBe(true);
    expect(projectionOf(layout, before)?.isWhole).toBe(false);
    expect(projectionOf(layOut([serviceOf(moment, terminalRisk)]), after)?.isWhole).toBe(false);
  });

  test('of which an input is not laid out cannot be read, and says which', () => {
    expect(projectionOf(layOut([before]), after)).toBeNull();
    expect(missingInputs(layOut([before]), after)).toEqual([terminalRisk.compiled.name]);
  });
});
