import { join } from 'node:path';
import type { Configuration } from '../contracts/configuration.js';
import type { CompiledModel } from '../models/definition.js';
import { boosterToOnnx } from '../models/onnx/treeEnsemble.js';
import { openDiskObjectStore } from '../stores/objects/diskObjectStore.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import { fullBooster, spread } from './fullBooster.js';

/** A version of full trees as champion: what it costs is that of a trained one. */
export async function promoteTrees(
  configuration: Configuration,
  model: CompiledModel,
  { trees, depth }: { readonly trees: number; readonly depth: number },
): Promise<void> {
  const registry = await openRegistry(configuration);
  const objects = openDiskObjectStore(join(configuration.home, 'objects'));
  const columns = model.service.columns.length;
  const booster = fullBooster({ columns, trees, depth, below: spread(1) });
  const artifact = await objects.put('models', 'onnx', boosterToOnnx(booster));
  const { token } = await registry.openRollout(model.name, 'bench', 'first');
  const fence = { model: model.name, token };
  const { version } = await registry.registerVersion(
    {
      model: model.name,
      artifact,
      service: model.service.hash,
      columns: model.service.columns.map(({ name }) => name),
      dataset: { uri: 'none', sha256: 'none' },
      trainer: 'xgboost',
      hyperparameters: {},
      codeVersion: 'bench',
      workflow: null,
      trigger: 'first',
      metrics: {},
      lineage: {},
    },
    fence,
  );
  await registry.changeDeployment({
    fence,
    step: 'commit',
    expectEpoch: 0,
    next: { mode: 'single', champion: version, challenger: null, share: 0, salt: '', prepare: null },
    actor: 'bench',
    reason: 'bench',
    evidence: null,
  });
  await registry.close();
}
