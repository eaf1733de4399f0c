import { isSkewed, type AuditInput, type AuditResult } from '../contracts/consistency.js';
import { audits, validation } from './activityProxies.js';
import { plainly } from './plainFailure.js';
import { showProgress } from './showProgress.js';

/** Holds a sample of what a model served against what its features say: within each vector's cut, and in event time. */
export async function consistencyAudit(input: AuditInput): Promise<AuditResult> {
  // Asked before anything is checked: whatever the input is.
  const shown = showProgress((input as AuditInput | null | undefined)?.model ?? 'no model');
  const checked = await validation().validateAudit(input);
  shown.enter('range');
  const plan = await plainly(() => audits().planAudit(checked));
  const range = `${new Date(plan.from).toISOString()} to ${new Date(plan.to).toISOString()}`;
  shown.done('range', `requests of ${range}, at most ${plan.sample} of them`);
  shown.enter('recompute');
  const result = await plainly(() => audits().auditServed(plan));
  shown.done(
    'recompute',
    result.outcome === 'inconclusive' ? 'nothing' : `${result.vectors} vectors of ${result.rows} served requests`,
  );
  if (result.outcome !== 'inconclusive' && isSkewed(result)) {
    shown.enter('report');
    const version = await audits().reportSkew(result.model, result);
    shown.done('report', `${result.skew.limit?.reason}: ${version === null ? 'nothing serves' : 'told the lifecycle'}`);
  }
  shown.enter('done');
  return result;
}
