import { TidemillError } from '../contracts/errors.js';
import type { CompiledModel } from '../models/definition.js';
import type { LoadVersion } from '../scoring/loadedVersions.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { Registry } from '../stores/registry/registry.js';

/** Loads a version's file by way of the registry: checked against its sha256 and against the model's feature service. */
export function versionLoader(model: CompiledModel, registry: Registry, objects: ObjectStore): LoadVersion {
  return async (version) => {
    const found = await registry.version(model.name, version);
    if (found === null)
      throw new TidemillError('VERSION_NOT_FOUND', `${model.name} has no version ${version}`, {
        model: model.name,
        version,
      });
    if (found.service !== model.service.hash) {
      throw new TidemillError(
        'MODEL_WIDTH_MISMATCH',
        `${model.name} version ${version} was trained on feature service ${found.service.slice(0, 12)}, this worker computes ${model.service.hash.slice(0, 12)}`,
        { version, trained: found.service, computed: model.service.hash },
      );
    }
    return objects.get(found.artifact.uri, found.artifact.sha256);
  };
}
