import type { DeploymentRecord } from '../contracts/records.js';

/** What a version is in the head of its model's deployment; null where it is nothing there. */
export function versionRole(
  version: number,
  deployment: DeploymentRecord | null,
): 'champion' | 'challenger' | 'preparing' | null {
  if (deployment === null) return null;
  if (deployment.champion === version) return 'champion';
  if (deployment.challenger === version) return 'challenger';
  return deployment.prepare === version ? 'preparing' : null;
}
