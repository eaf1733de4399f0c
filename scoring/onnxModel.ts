import { createRequire } from 'node:module';
import type * as Onnx from 'onnxruntime-node';
import { messageOf, TidemillError } from '../contracts/errors.js';
import { INPUT_NAME as INPUT, MARGIN_NAME, SCORE_NAME as SCORE } from '../models/onnx/graph.js';
import { inspectModel } from '../models/onnx/inspectModel.js';

// The package is CommonJS and is loaded once, when the first model is.
const onnx = createRequire(import.meta.url)('onnxruntime-node') as typeof Onnx;

/** One model file, loaded. */
export class OnnxModel {
  /** Holders and runs that have not ended; and what waits for the last of them. */
  private users = 0;
  private onIdle: (() => void) | null = null;
  private closing: Promise<void> | null = null;

  private constructor(
    private readonly session: Onnx.InferenceSession,
    readonly columns: number,
  ) {}

  /**
   * Loads a model that stands for itself (see inspectModel) from its bytes, and runs one row to warm up and to see its
   * width. ONNX Runtime holds the thread meanwhile: about 5 ms for 100 trees of depth 6, 170 ms for 1,000 of depth 8.
   *
   * @throws TidemillError MODEL_INVALID, MODEL_WIDTH_MISMATCH
   */
  static async load(bytes: Uint8Array, columns: number, name: string): Promise<OnnxModel> {
    inspectModel(bytes, name);
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
    try {
      return await OnnxModel.check(session, columns, name);
    } catch (error) {
      await session.release();
      throw error;
    }
  }

  private static async check(session: Onnx.InferenceSession, columns: number, name: string): Promise<OnnxModel> {
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
    return this.run(values, rows, SCORE);
  }

  /** Log-odds per row, of models that Tidemill exported. */
  async margins(values: Float32Array, rows: number): Promise<Float32Array> {
    return this.run(values, rows, MARGIN_NAME);
  }

  private async run(values: Float32Array, rows: number, output: string): Promise<Float32Array> {
    const release = this.hold();
    try {
      const input = new onnx.Tensor('float32', values, [rows, this.columns]);
      const outputs = await this.session.run({ [INPUT]: input }, [output]);
      return (outputs[output] as Onnx.Tensor).data as Float32Array;
    } finally {
      release();
    }
  }

  /** The model can be run until the returned function is called, once, even where it is closed meanwhile. */
  hold(): () => void {
    if (this.closing !== null && this.users === 0) throw new Error('invariant broken: a closed model is used');
    this.users++;
    return () => {
      this.users--;
      if (this.users === 0) this.onIdle?.();
    };
  }

  /** Lets holders and runs end, then releases the session. */
  async close(): Promise<void> {
    this.closing ??= this.release();
    return this.closing;
  }

  private async release(): Promise<void> {
    if (this.users > 0) {
      await new Promise<void>((resolve) => {
        this.onIdle = resolve;
      });
    }
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
