import { isTidemillError, messageOf, TidemillError } from '../contracts/errors.js';
import type { CompiledService } from '../features/compiledView.js';
import { decodeService } from '../features/storedService.js';
import type { CompiledModel } from '../models/definition.js';
import type { ObjectStore } from '../stores/objects/objectStore.js';
import type { ModelVersion, Registry } from '../stores/registry/registry.js';

/** Where the services of versions are found. */
export interface ServiceStores {
  readonly registry: Registry;
  readonly objects: ObjectStore;
}

/** What a version reads: the model's own service where it is that one, else what is stored with the version. */
export async function serviceOfVersion(
  { registry, objects }: ServiceStores,
  model: CompiledModel,
  version: number,
): Promise<CompiledService> {
  const found = await registry.version(model.name, version);
  if (found === null)
    throw new TidemillError('VERSION_NOT_FOUND', `${model.name} has no version ${version}`, {
      model: model.name,
      version,
    });
  return readService(objects, model, found);
}

/** @throws TidemillError SERVICE_UNREADABLE, OBJECT_NOT_FOUND, OBJECT_CORRUPT */
async function readService(
  objects: ObjectStore,
  model: CompiledModel,
  { version, service, definition }: ModelVersion,
): Promise<CompiledService> {
  if (service === model.service.hash) return model.service;
  if (definition === undefined) {
    throw new TidemillError(
      'SERVICE_UNREADABLE',
      `${model.name} version ${version} reads service ${service.slice(0, 12)}, which was not stored with it`,
      { model: model.name, version, service },
    );
  }
  return decodeService(await objects.get(definition.uri, definition.sha256), service);
}

/**
 * The versions of a model that may be asked for a score: champion, challenger and the prepared one, the champion before,
 * to which a rollback goes, and the version of the rollout under way.
 */
export async function versionsInUse(registry: Registry, model: string): Promise<readonly number[]> {
  const head = await registry.deployment(model);
  const versions = [head?.champion, head?.challenger, head?.prepare];
  for (const { version } of await registry.championHistory(model)) {
    if (version === head?.champion) continue;
    if ((await registry.version(model, version))?.status !== 'registered') continue;
    versions.push(version);
    break;
  }
  const rollout = await registry.newestRollout(model);
  if (rollout !== null && rollout.closedAt === null) {
    const journal = await registry.journal(model, rollout.token);
    versions.push(
      (journal.find(({ step }) => step === 'register')?.result as ModelVersion | null | undefined)?.version,
    );
  }
  return [...new Set(versions.filter((version) => version !== null && version !== undefined))];
}

/** Services of several versions; those that cannot be had are named, and the others stand. */
export async function servicesOf(
  stores: ServiceStores,
  model: CompiledModel,
  versions: readonly number[],
): Promise<{ readonly services: readonly CompiledService[]; readonly problems: readonly string[] }> {
  const services: CompiledService[] = [];
  const problems: string[] = [];
  for (const version of versions) {
    try {
      services.push(await serviceOfVersion(stores, model, version));
    } catch (error) {
      problems.push(messageOf(error));
    }
  }
  return { services, problems };
}

/** A service that versions of a model read, or the definition in the code does. */
export interface KnownService {
  /** Hash of the service. */
  readonly hash: string;
  readonly versions: readonly number[];
  /** Null where nobody can load it any more; `problem` says why. */
  readonly service: CompiledService | null;
  readonly problem: string | null;
}

/**
 * Every service under which requests of a model may have been served, whatever became of the versions that read it; that of
 * the definition first.
 */
export async function knownServices(stores: ServiceStores, model: CompiledModel): Promise<readonly KnownService[]> {
  const readers = new Map<string, ModelVersion[]>([[model.service.hash, []]]);
  for (const version of await stores.registry.versions(model.name))
    readers.set(version.service, [...(readers.get(version.service) ?? []), version]);
  return Promise.all(
    [...readers].map(async ([hash, found]) => {
      const versions = found.map(({ version }) => version).sort((a, b) => a - b);
      return { hash, versions, ...(await loaded(stores.objects, model, hash, found)) };
    }),
  );
}

/** The service as the first version has it from which it can be had. */
async function loaded(
  objects: ObjectStore,
  model: CompiledModel,
  hash: string,
  readers: readonly ModelVersion[],
): Promise<Pick<KnownService, 'service' | 'problem'>> {
  if (hash === model.service.hash) return { service: model.service, problem: null };
  let problem: string | null = null;
  for (const version of readers) {
    try {
      return { service: await readService(objects, model, version), problem: null };
    } catch (error) {
      // Anything else may pass: whoever asks asks again.
      if (!LOST.some((code) => isTidemillError(error, code))) throw error;
      problem ??= messageOf(error);
    }
  }
  return { service: null, problem };
}

const LOST = ['SERVICE_UNREADABLE', 'OBJECT_NOT_FOUND', 'OBJECT_CORRUPT'] as const;
