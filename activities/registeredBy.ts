import type { Registry } from '../stores/registry/registry.js';

/** Versions that a rollout registered and that are nothing else yet: neither rejected nor withdrawn. */
export async function registeredBy(
  registry: Pick<Registry, 'versions'>,
  model: string,
  token: number,
): Promise<readonly number[]> {
  const versions = await registry.versions(model);
  return versions.filter((each) => each.token === token && each.status === 'registered').map(({ version }) => version);
}
