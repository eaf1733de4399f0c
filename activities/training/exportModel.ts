import { TidemillError } from '../../contracts/errors.js';
import type { LogisticModel } from '../../models/logistic.js';
import { parseBooster } from '../../models/onnx/booster.js';
import { logisticToOnnx } from '../../models/onnx/linearModel.js';
import { boosterToOnnx } from '../../models/onnx/treeEnsemble.js';
import { OnnxModel } from '../../scoring/onnxModel.js';

export interface ExportedModel {
  readonly onnx: Uint8Array;
  readonly parity: { readonly rows: number; readonly maxDifference: number };
}

/** Probabilities of the exported and of the native model may differ by this much: both calculate in float32. */
export const PARITY_TOLERANCE = 1e-6;

const BATCH_ROWS = 8_192;

/**
 * Exports a trained model and holds every row's probability to the native one.
 *
 * @param rows row-major values, NaN for null, with the native probabilities of the rows.
 * @throws TidemillError MODEL_INVALID, MODEL_PARITY_FAILED naming the worst row.
 */
export async function exportModel(
  trained:
    | { readonly kind: 'xgboost'; readonly booster: Buffer }
    | { readonly kind: 'logistic'; readonly model: LogisticModel },
  rows: {
    readonly rows: number;
    readonly columns: number;
    readonly values: Float64Array;
    readonly native: ArrayLike<number>;
  },
): Promise<ExportedModel> {
  const onnx =
    trained.kind === 'xgboost'
      ? boosterToOnnx(parseBooster(trained.booster.toString('utf8')))
      : logisticToOnnx(trained.model);
  const model = await OnnxModel.load(onnx, rows.columns, 'the exported model');
  let maxDifference = 0;
  try {
    for (let start = 0; start < rows.rows; start += BATCH_ROWS) {
      const size = Math.min(BATCH_ROWS, rows.rows - start);
      const batch = Float32Array.from(rows.values.subarray(start * rows.columns, (start + size) * rows.columns));
      const scores = await model.score(batch, size);
      for (let row = 0; row < size; row++) {
        const difference = Math.abs((scores[row] as number) - (rows.native[start + row] as number));
        if (!(difference <= PARITY_TOLERANCE)) {
          throw new TidemillError(
            'MODEL_PARITY_FAILED',
            `row ${start + row}: exported ${scores[row]}, native ${rows.native[start + row]}`,
            { row: start + row, exported: scores[row], native: rows.native[start + row] },
          );
        }
        maxDifference = Math.max(maxDifference, difference);
      }
    }
  } finally {
    await model.close();
  }
  return { onnx, parity: { rows: rows.rows, maxDifference } };
}
