import type { LogisticModel } from '../logistic.js';
import { encodeModel, INPUT_NAME, MARGIN_NAME, SCORE_NAME } from './graph.js';

/** A logistic regression with its scaler as ONNX: ((x - mean) / scale) · weights + intercept, then Sigmoid. */
export function logisticToOnnx({ means, scales, weights, intercept }: LogisticModel): Uint8Array {
  const columns = weights.length;
  return encodeModel(
    columns,
    [
      { operator: 'Sub', domain: '', inputs: [INPUT_NAME, 'means'], outputs: ['centred'] },
      { operator: 'Div', domain: '', inputs: ['centred', 'scales'], outputs: ['standardised'] },
      { operator: 'MatMul', domain: '', inputs: ['standardised', 'weights'], outputs: ['product'] },
      { operator: 'Add', domain: '', inputs: ['product', 'intercept'], outputs: [MARGIN_NAME] },
      { operator: 'Sigmoid', domain: '', inputs: [MARGIN_NAME], outputs: [SCORE_NAME] },
    ],
    [
      { name: 'means', shape: [1, columns], values: means },
      { name: 'scales', shape: [1, columns], values: scales },
      { name: 'weights', shape: [columns, 1], values: weights },
      { name: 'intercept', shape: [1, 1], values: [intercept] },
    ],
  );
}
