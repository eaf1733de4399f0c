import koffi from 'koffi';
import { messageOf, TidemillError } from '../../contracts/errors.js';

/** The part of XGBoost's C interface that training needs. Source: xgboost/c_api.h. */
export class XgboostLibrary {
  private readonly functions: Readonly<Record<FunctionName, (...args: unknown[]) => number>>;
  private readonly lastError: () => string;

  /** @throws TidemillError TRAINING_FAILED where the library cannot be loaded. */
  constructor(path: string) {
    try {
      const library = koffi.load(path);
      this.lastError = library.func('const char *XGBGetLastError()') as () => string;
      this.functions = Object.fromEntries(
        Object.entries(PROTOTYPES).map(([name, prototype]) => [
          name,
          library.func(prototype) as (...args: unknown[]) => number,
        ]),
      ) as Record<FunctionName, (...args: unknown[]) => number>;
    } catch (error) {
      throw new TidemillError(
        'TRAINING_FAILED',
        `XGBoost's library ${path} cannot be loaded: ${messageOf(error)}`,
        { path },
        { cause: error },
      );
    }
  }

  /** A matrix of float32, row-major; NaN is a missing value. */
  matrix(values: Float32Array, rows: number, columns: number, labels: Float32Array | null): Handle {
    const handle: [unknown] = [null];
    this.call('XGDMatrixCreateFromMat', values, rows, columns, Number.NaN, handle);
    if (labels !== null) this.call('XGDMatrixSetFloatInfo', handle[0], 'label', labels, labels.length);
    return handle[0];
  }

  freeMatrix(matrix: Handle): void {
    this.call('XGDMatrixFree', matrix);
  }

  booster(matrices: readonly Handle[]): Handle {
    const handle: [unknown] = [null];
    this.call('XGBoosterCreate', [...matrices], matrices.length, handle);
    return handle[0];
  }

  freeBooster(booster: Handle): void {
    this.call('XGBoosterFree', booster);
  }

  setParameter(booster: Handle, name: string, value: string): void {
    this.call('XGBoosterSetParam', booster, name, value);
  }

  /** One round. */
  update(booster: Handle, round: number, matrix: Handle): void {
    this.call('XGBoosterUpdateOneIter', booster, round, matrix);
  }

  /** The model as JSON. */
  save(booster: Handle): Buffer {
    const length: [number | bigint] = [0];
    const bytes: [unknown] = [null];
    this.call('XGBoosterSaveModelToBuffer', booster, '{"format":"json"}', length, bytes);
    return Buffer.from(koffi.decode(bytes[0], koffi.array('uint8_t', Number(length[0]), 'Typed')) as Uint8Array);
  }

  load(booster: Handle, model: Buffer): void {
    this.call('XGBoosterLoadModelFromBuffer', booster, model, model.length);
  }

  /** Probabilities of a matrix. */
  predict(booster: Handle, matrix: Handle): Float32Array {
    const length: [number | bigint] = [0];
    const values: [unknown] = [null];
    this.call('XGBoosterPredict', booster, matrix, 0, 0, 0, length, values);
    return Float32Array.from(koffi.decode(values[0], koffi.array('float', Number(length[0]), 'Typed')) as Float32Array);
  }

  private call(name: FunctionName, ...args: unknown[]): void {
    if (this.functions[name](...args) !== 0) {
      throw new TidemillError('TRAINING_FAILED', `XGBoost: ${this.lastError().split('\n')[0]}`, { call: name });
    }
  }
}

/** An object of the library; only passed back to it. */
export type Handle = unknown;

const PROTOTYPES = {
  XGDMatrixCreateFromMat:
    'int XGDMatrixCreateFromMat(const float *data, uint64_t nrow, uint64_t ncol, float missing, _Out_ void **out)',
  XGDMatrixSetFloatInfo: 'int XGDMatrixSetFloatInfo(void *handle, const char *field, const float *array, uint64_t len)',
  XGDMatrixFree: 'int XGDMatrixFree(void *handle)',
  XGBoosterCreate: 'int XGBoosterCreate(void **dmats, uint64_t len, _Out_ void **out)',
  XGBoosterFree: 'int XGBoosterFree(void *handle)',
  XGBoosterSetParam: 'int XGBoosterSetParam(void *handle, const char *name, const char *value)',
  XGBoosterUpdateOneIter: 'int XGBoosterUpdateOneIter(void *handle, int iter, void *dtrain)',
  XGBoosterSaveModelToBuffer:
    'int XGBoosterSaveModelToBuffer(void *handle, const char *config, _Out_ uint64_t *out_len, _Out_ void **out_dptr)',
  XGBoosterLoadModelFromBuffer: 'int XGBoosterLoadModelFromBuffer(void *handle, const uint8_t *buf, uint64_t len)',
  XGBoosterPredict:
    'int XGBoosterPredict(void *handle, void *dmat, int option_mask, uint32_t ntree_limit, int training, _Out_ uint64_t *out_len, _Out_ void **out_result)',
} as const;

type FunctionName = keyof typeof PROTOTYPES;
