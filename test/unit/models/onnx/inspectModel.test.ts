import { expect, test } from 'vitest';
import { isTidemillError } from '../../../../contracts/errors.js';
import { encodeModel } from '../../../../models/onnx/graph.js';
import { inspectModel } from '../../../../models/onnx/inspectModel.js';
import { ProtobufWriter } from '../../../../models/onnx/protobuf.js';
import { boosterToOnnx } from '../../../../models/onnx/treeEnsemble.js';

const stump = {
  columns: 2,
  baseMargin: 0,
  trees: [
    {
      left: [1, -1, -1],
      right: [2, -1, -1],
      column: [1, 0, 0],
      value: [0.5, -1, 1],
      missingLeft: [true, false, false],
    },
  ],
};

const node = (operator: string, domain: string): ProtobufWriter =>
  new ProtobufWriter().text(1, 'input').text(2, 'score').text(4, operator).text(7, domain);
const modelOf = (graph: ProtobufWriter): Uint8Array => new ProtobufWriter().varint(1, 8).message(7, graph).finish();
const attribute = (field: number, value: ProtobufWriter): ProtobufWriter =>
  new ProtobufWriter().text(1, 'a').message(field, value);
const externalTensor = new ProtobufWriter().text(8, 'w').varint(14, 1);

function problemOf(bytes: Uint8Array): string {
  try {
    inspectModel(bytes, 'the file');
    return 'nothing';
  } catch (error) {
    return isTidemillError(error, 'MODEL_INVALID') ? error.message : String(error);
  }
}

test('names the operators of an exported model', () => {
  expect(inspectModel(boosterToOnnx(stump), 'stump')).toEqual(['ai.onnx.ml:TreeEnsembleRegressor', ':Sigmoid']);
});

test('refuses operators outside the standard, in nested graphs too', () => {
  expect(problemOf(modelOf(new ProtobufWriter().message(1, node('Gelu', 'com.microsoft'))))).toMatch(
    /operator Gelu is of com.microsoft/,
  );
  const branch = new ProtobufWriter().message(1, node('Evil', 'my.domain'));
  const nested = node('If', '').message(5, attribute(6, branch));
  expect(problemOf(modelOf(new ProtobufWriter().message(1, nested)))).toMatch(/operator Evil is of my.domain/);
});

test('refuses tensors in other files, wherever they hide', () => {
  const sparse = new ProtobufWriter().message(1, externalTensor);
  for (const graph of [
    new ProtobufWriter().message(5, externalTensor),
    new ProtobufWriter().message(15, sparse),
    new ProtobufWriter().message(1, node('Constant', '').message(5, attribute(5, externalTensor))),
    new ProtobufWriter().message(1, node('Constant', '').message(5, attribute(10, externalTensor))),
    new ProtobufWriter().message(1, node('Constant', '').message(5, attribute(22, sparse))),
  ]) {
    expect(problemOf(modelOf(graph))).toMatch(/keeps a tensor in another file/);
  }
});

test('refuses functions of its own, a file without a graph, and a torn file', () => {
  const whole = encodeModel(1, [{ operator: 'Sigmoid', domain: '', inputs: ['input'], outputs: ['score'] }], []);
  expect(problemOf(whole)).toBe('nothing');
  expect(problemOf(Buffer.concat([whole, new ProtobufWriter().text(25, 'f').finish()]))).toMatch(
    /functions of its own/,
  );
  expect(problemOf(new Uint8Array())).toMatch(/it has 0 graphs/);
  expect(problemOf(whole.subarray(0, whole.length - 3))).toMatch(/is no ONNX file/);
  expect(problemOf(Buffer.from('not a model'))).toMatch(/is refused/);
});
