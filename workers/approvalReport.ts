import { access } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { APPROVAL_PUBLIC_FILE, type ApprovalReport } from '../contracts/approval.js';
import { approvalIssuersFrom } from '../contracts/approvalIssuer.js';
import { registryConfigurationFrom } from '../contracts/configuration.js';
import { TidemillError } from '../contracts/errors.js';
import type { VerdictReport } from '../contracts/modelReport.js';
import type { ApprovalRequest } from '../contracts/rollout.js';
import { journalEntry } from '../activities/journal.js';
import { hashOf } from '../features/hash.js';
import { openRegistry } from '../stores/registry/openRegistry.js';
import type { Registry } from '../stores/registry/registry.js';
import { answer } from './answer.js';
import { requireRegistry } from './inspectTopologies.js';

/**
 * Prints what waits for an approval, with the evidence that it rests on: one ApprovalReport as JSON. Errors are one JSON
 * object on standard error.
 *
 *   node dist/workers/approvalReport.js --model fraud
 */
async function main(): Promise<ApprovalReport> {
  const { values } = parseArgs({ options: { model: { type: 'string' } } });
  if (values.model === undefined) throw new TidemillError('USAGE_INVALID', 'name the model: --model NAME');
  const configuration = registryConfigurationFrom(process.env);
  const issuer = await issuerOf();
  await requireRegistry(configuration);
  const registry = await openRegistry(configuration);
  try {
    return { model: values.model, issuer, waiting: await waitingIn(registry, values.model) };
  } finally {
    await registry.close();
  }
}

async function issuerOf(): Promise<ApprovalReport['issuer']> {
  const { home, oidc } = approvalIssuersFrom(process.env);
  if (oidc !== null) return 'oidc';
  return access(join(home, APPROVAL_PUBLIC_FILE)).then(
    () => 'local',
    () => 'none',
  );
}

async function waitingIn(registry: Registry, model: string): Promise<ApprovalReport['waiting']> {
  const newest = await registry.newestRollout(model);
  if (newest === null || newest.closedAt !== null) return null;
  const entry = await journalEntry(registry, { model, token: newest.token }, 'approval');
  if (entry === undefined || entry.finishedAt !== null) return null;
  const request = entry.intent as ApprovalRequest;
  const evidence = await registry.evidence(model, newest.token);
  return {
    request,
    trigger: newest.trigger,
    holder: newest.holder,
    champion: (await registry.deployment(model))?.champion ?? null,
    metrics: (await registry.version(model, request.version))?.metrics ?? {},
    verdicts: evidence
      .filter((each) => each.version === request.version && isVerdict(each.evidence))
      .map((each) => each.evidence as VerdictReport),
    evidence: hashOf(evidence),
  };
}

/** Evidence of other kinds may be stored beside verdicts. */
function isVerdict(evidence: unknown): evidence is VerdictReport {
  return typeof evidence === 'object' && evidence !== null && 'gate' in evidence && 'verdict' in evidence;
}

await answer(main);
