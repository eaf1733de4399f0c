import { createRequire } from 'node:module';
import type * as Onnx from 'onnxruntime-node';
import { messageOf, TidemillError } from '../contracts/errors.js';

// The package is CommonJS and is loaded once, when the first model is.
const onnx = createRequire(import.meta.url)('onnxruntime-node') as typeof Onnx;

const INPUT = 'input';
const SCORE = 'score';

/** One model file, loaded. */
export class OnnxModel {
  private constructor(
    private readonly session: Onnx.InferenceSession,
    readonly columns: number,
  ) {}

  /**
   * Loads from bytes, so that a file can refer to no other one, and runs one row to warm up and to see its width.
   *
   * @throws TidemillError MODEL_INVALID, MODEL_WIDTH_MISMATCH
   */
  static async load(bytes: Uint8Array, columns: number, name: string): Promise<OnnxModel> {
    let session: Onnx.InferenceSession;
    try {
      // One thread: a worker scores many small batches, and tasks side by side keep the cores busy.
      session = await onnx.InferenceSession.create(bytes, {
        intraOpNumThreads: 1,
        interOpNumThreads: 1,
        logSeverityLevel: 4,
      });
    } catch (error) {
      throw new TidemillError(
        'MODEL_INVALID',
        `${name} cannot be loaded: ${messageOf(error)}`,
        { name },
        { cause: error },
      );
    }
    if (!session.inputNames.includes(INPUT) || !session.outputNames.includes(SCORE)) {
      throw new TidemillError('MODEL_INVALID', `${name} has no input \`${INPUT}\` or no output \`${SCORE}\``, { name });
    }
    const declared = (
      session.inputMetadata.find((each) => each.name === INPUT) as { shape?: readonly (number | string)[] } | undefined
    )?.shape?.[1];
    if (typeof declared === 'number' && declared !== columns) throw widthMismatch(name, declared, columns);
    const model = new OnnxModel(session, columns);
    try {
      await model.score(new Float32Array(columns), 1);
    } catch (error) {
      if (/dimension|shape|rank|index/i.test(messageOf(error))) throw widthMismatch(name, null, columns);
      throw new TidemillError('MODEL_INVALID', `${name} does not run: ${messageOf(error)}`, { name }, { cause: error });
    }
    return model;
  }

  /** Probability per row. */
  async score(values: Float32Array, rows: number): Promise<Float32Array> {
    const input = new onnx.Tensor('float32', values, [rows, this.columns]);
    const output = await this.session.run({ [INPUT]: input }, [SCORE]);
    return (output[SCORE] as Onnx.Tensor).data as Float32Array;
  }

  /** Log-odds per row, of models that Tidemill exported. */
  async margins(values: Float32Array, rows: number): Promise<Float32Array> {
    const input = new onnx.Tensor('float32', values, [rows, this.columns]);
    const output = await this.session.run({ [INPUT]: input }, ['margin']);
    return (output['margin'] as Onnx.Tensor).data as Float32Array;
  }

  async close(): Promise<void> {
    await this.session.release();
  }
}

function widthMismatch(name: string, declared: number | null, columns: number): TidemillError {
  const reads = declared === null ? 'another number of' : String(declared);
  return new TidemillError(
    'MODEL_WIDTH_MISMATCH',
    `${name} reads ${reads} columns, the feature service has ${columns}`,
    { name, declared, columns },
  );
}
