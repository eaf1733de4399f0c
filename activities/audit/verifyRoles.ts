import type { DeploymentRecord, PredictionRecord, ScoreRole } from '../../contracts/records.js';
import { armOf, splitUnit } from '../../scoring/split.js';
import type { AuditRow } from '../../stores/registry/registry.js';

/** What predictions say about who served them, held against the deployments that they name. */
export interface RoleAudit {
  readonly served: Readonly<Record<ScoreRole, number>>;
  /** Requests of the challenger's arm that somebody else served. */
  readonly standIns: number;
  /** Predictions under a deployment of two versions that have both scores, and those that have not. */
  readonly paired: number;
  readonly unpaired: number;
  /** Predictions that do not agree with their deployment. */
  readonly wrong: number;
  /** The first few of them, in words. */
  readonly findings: readonly string[];
}

const MAX_FINDINGS = 20;
/** Version of the model's fallback rules. */
const RULES = 0;

/** Every deployment that a model has had, by epoch: from the registry's audit. */
export function deploymentsOf(rows: readonly AuditRow[]): Map<number, DeploymentRecord> {
  const changes = rows.filter(({ action }) => action.startsWith('deployment.'));
  return new Map(changes.map(({ after }) => [(after as DeploymentRecord).epoch, after as DeploymentRecord]));
}

/**
 * Proves that every prediction was served by whom its epoch's deployment and the split name, or by a stand-in whose reason
 * is in the record, and that it names every version of the deployment.
 */
export function verifyRoles(
  predictions: readonly PredictionRecord[],
  deployments: ReadonlyMap<number, DeploymentRecord>,
): RoleAudit {
  const served = { champion: 0, challenger: 0, fallback: 0 };
  const findings: string[] = [];
  let [standIns, paired, unpaired, wrong] = [0, 0, 0, 0];
  for (const prediction of predictions) {
    const { id, role, arm, epoch, others } = prediction;
    served[role]++;
    if (arm === 'challenger' && role !== 'challenger') standIns++;
    const deployment = deployments.get(epoch);
    const disagreement = disagreementOf(prediction, deployment);
    if (disagreement !== null) {
      wrong++;
      if (findings.length < MAX_FINDINGS) findings.push(`prediction ${id} under epoch ${epoch}: ${disagreement}`);
    }
    if (deployment === undefined || deployment.mode === 'single') continue;
    if (role !== 'fallback' && others.length > 0 && others.every(({ score }) => score !== null)) paired++;
    else unpaired++;
  }
  return { served, standIns, paired, unpaired, wrong, findings };
}

/** What is wrong with a prediction; null where it agrees with its deployment. */
function disagreementOf(prediction: PredictionRecord, deployment: DeploymentRecord | undefined): string | null {
  const { id, entity, role, version, arm, epoch, others } = prediction;
  if (deployment === undefined) {
    // Before the first deployment the rules answer.
    const isBefore = epoch === 0 && role === 'fallback' && version === 0 && others.length === 0;
    return isBefore ? null : 'there is no such deployment';
  }
  const { champion } = deployment;
  const challenger = deployment.mode === 'single' ? null : deployment.challenger;
  const expectedArm = armOf(deployment, splitUnit(entity, id));
  if (arm !== expectedArm) return `arm ${arm}, the split says ${expectedArm}`;
  // The rules, or whoever the deployment names; of before it named one, whoever it was.
  const standIn = version === RULES || deployment.standIn === undefined ? version : deployment.standIn;
  const named = { champion, challenger, fallback: standIn }[role];
  if (named !== version) return `version ${version} served as ${role}, which is ${named}`;

  const versions: { readonly role: ScoreRole; readonly version: number }[] = [];
  if (champion !== null && role !== 'champion') versions.push({ role: 'champion', version: champion });
  if (champion === null && role === 'challenger') versions.push({ role: 'champion', version: RULES });
  if (challenger !== null && role !== 'challenger') versions.push({ role: 'challenger', version: challenger });
  const text = (list: readonly (typeof versions)[number][]): string =>
    list.map((each) => `${each.role} ${each.version}`).join(' and ');
  if (text(others) !== text(versions)) return `beside ${role} ${version} stand ${text(others)}, not ${text(versions)}`;

  const failed = (which: ScoreRole): boolean => others.some((each) => each.role === which && each.score === null);
  if (role === 'challenger') return arm === 'challenger' ? null : 'the challenger served outside its arm';
  if (arm === 'challenger' && challenger !== null && !failed('challenger'))
    return 'the challenger did not serve its arm';
  if (role === 'fallback' && champion !== null && !failed('champion')) return 'the champion did not serve';
  return null;
}
