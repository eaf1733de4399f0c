import { TidemillError } from '../contracts/errors.js';
import type { CompiledModel } from '../models/definition.js';
import type { LoadVersion } from '../scoring/loadedVersions.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { Registry } from '../stores/registry/registry.js';

/** Loads a version's file by way of the registry, checked against its sha256. */
export function versionLoader(model: CompiledModel, registry: Registry, objects: ObjectStore): LoadVersion {
  return async (version) => {
    const found = await registry.version(model.name, version);
    if (found === null)
      throw new TidemillError('VERSION_NOT_FOUND', `${model.name} has no version ${version}`, {
        model: model.name,
        version,
      });
    return objects.get(found.artifact.uri, found.artifact.sha256);
  };
}
