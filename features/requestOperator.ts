import type { CompiledRequestView } from './compiledView.js';
import { compileExpression } from './evaluate.js';
import type { Value } from './types.js';
import { toVectorNumber } from './vector.js';

/** Writes the request features of a request's values to `out[start..]`, as a vector (NaN for null). */
export type RequestOperator = (values: readonly Value[], out: Float64Array, start: number) => void;

/** Compiles request features once; the operator allocates nothing per request. */
export function createRequestOperator(view: CompiledRequestView): RequestOperator {
  const features = view.features.map(({ type, value }) => ({
    type,
    run: compileExpression(value, view.stream.fields),
  }));
  return (values, out, start) => {
    for (let at = 0; at < features.length; at++) {
      const feature = features[at] as (typeof features)[number];
      out[start + at] = toVectorNumber(feature.type, feature.run(values));
    }
  };
}
