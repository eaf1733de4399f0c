import { ProtobufWriter } from './protobuf.js';

/** ONNX models as Tidemill writes them. Source: onnx.proto3, IR version 8; operator sets 17 and ai.onnx.ml 3. */
export const INPUT_NAME = 'input';
/** Probability, float32 [N, 1]. */
export const SCORE_NAME = 'score';
/** Log-odds, float32 [N, 1]. */
export const MARGIN_NAME = 'margin';

export type Attribute =
  | { readonly kind: 'ints'; readonly values: ArrayLike<number> }
  | { readonly kind: 'floats'; readonly values: ArrayLike<number> }
  | { readonly kind: 'strings'; readonly values: readonly string[] }
  | { readonly kind: 'int'; readonly value: number }
  | { readonly kind: 'string'; readonly value: string };

export interface Node {
  readonly operator: string;
  /** '' or 'ai.onnx.ml' */
  readonly domain: '' | 'ai.onnx.ml';
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes?: Readonly<Record<string, Attribute>>;
}

export interface Constant {
  readonly name: string;
  readonly shape: readonly number[];
  readonly values: ArrayLike<number>;
}

const FLOAT = 1;

/** A model with input float32 [N, columns] and outputs `score` and `margin`, float32 [N, 1]. */
export function encodeModel(columns: number, nodes: readonly Node[], constants: readonly Constant[]): Uint8Array {
  const graph = new ProtobufWriter();
  for (const node of nodes) graph.message(1, encodeNode(node));
  graph.text(2, 'tidemill');
  for (const { name, shape, values } of constants) {
    const tensor = new ProtobufWriter();
    tensor.packedVarints(1, shape).varint(2, FLOAT).packedFloats(4, values).text(8, name);
    graph.message(5, tensor);
  }
  graph.message(11, valueInfo(INPUT_NAME, columns));
  graph.message(12, valueInfo(SCORE_NAME, 1));
  graph.message(12, valueInfo(MARGIN_NAME, 1));
  const model = new ProtobufWriter().varint(1, 8).text(2, 'tidemill').message(7, graph);
  for (const [domain, version] of [
    ['', 17],
    ['ai.onnx.ml', 3],
  ] as const) {
    model.message(8, new ProtobufWriter().text(1, domain).varint(2, version));
  }
  return model.finish();
}

function encodeNode({ operator, domain, inputs, outputs, attributes }: Node): ProtobufWriter {
  const node = new ProtobufWriter();
  for (const input of inputs) node.text(1, input);
  for (const output of outputs) node.text(2, output);
  node.text(4, operator);
  for (const [name, attribute] of Object.entries(attributes ?? {})) {
    const encoded = new ProtobufWriter().text(1, name);
    switch (attribute.kind) {
      case 'int':
        encoded.varint(3, attribute.value).varint(20, 2);
        break;
      case 'string':
        encoded.text(4, attribute.value).varint(20, 3);
        break;
      case 'floats':
        encoded.packedFloats(7, attribute.values).varint(20, 6);
        break;
      case 'ints':
        encoded.packedVarints(8, attribute.values).varint(20, 7);
        break;
      case 'strings':
        for (const value of attribute.values) encoded.text(9, value);
        encoded.varint(20, 8);
        break;
    }
    node.message(5, encoded);
  }
  return domain === '' ? node : node.text(7, domain);
}

/** Shape [N, width]. */
function valueInfo(name: string, width: number): ProtobufWriter {
  const shape = new ProtobufWriter()
    .message(1, new ProtobufWriter().text(2, 'N'))
    .message(1, new ProtobufWriter().varint(1, width));
  const tensor = new ProtobufWriter().varint(1, FLOAT).message(2, shape);
  return new ProtobufWriter().text(1, name).message(2, new ProtobufWriter().message(1, tensor));
}
