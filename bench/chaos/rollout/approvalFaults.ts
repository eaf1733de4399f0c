import { setTimeout as sleep } from 'node:timers/promises';
import { createLocalIssuer, signApproval } from '../../../client/localIssuer.js';
import { TidemillClient } from '../../../client/tidemillClient.js';
import { bindingOf, type ApprovalAction, type ApprovalAnswer } from '../../../contracts/approval.js';
import { isTidemillError } from '../../../contracts/errors.js';
import { SIGNAL_APPROVAL, type ApprovalRequest } from '../../../contracts/rollout.js';
import { MODEL, type Cluster } from './cluster.js';
import { outcomeOf, reached, retrain, type RolloutFault } from './rolloutSteps.js';

/** A lifecycle worker may be killed and started anew before it answers. */
const ANSWER_MS = 180_000;

/** A rollout that a person has to approve, and that person, with a key of this machine. */
interface Approval {
  readonly client: TidemillClient;
  readonly workflowId: string;
  /** Waits until an approval is asked for. */
  readonly waiting: () => Promise<ApprovalRequest>;
  readonly sign: (request: ApprovalRequest, action?: ApprovalAction) => Promise<ApprovalAnswer>;
}

/** Runs a case under the project that asks for approvals; afterwards exactly one decision must stand. */
async function approved(
  cluster: Cluster,
  id: string,
  act: (approval: Approval) => Promise<void>,
  env: Readonly<Record<string, string>> = {},
): Promise<string> {
  const { home, project, temporalAddress: address } = cluster.configuration;
  await createLocalIssuer(home);
  const client = await TidemillClient.connect({ address, project, answerMs: ANSWER_MS });
  try {
    await cluster.restartLifecycle(env, 'approved');
    const workflowId = await retrain(cluster, id);
    await act({
      client,
      workflowId,
      waiting: () => waiting(cluster, workflowId),
      sign: async (request, action = 'approve') => ({
        token: await signApproval(home, { project, subject: 'ada', binding: bindingOf(request, action) }),
      }),
    });
    const result = await cluster.lifecycle.retrainResult(workflowId);
    if (result.outcome !== 'refused') await requireOneDecision(cluster, result.token);
    return outcomeOf(result);
  } finally {
    await client.close();
    await cluster.restartLifecycle();
  }
}

async function waiting({ lifecycle }: Cluster, workflowId: string): Promise<ApprovalRequest> {
  for (;;) {
    const status = await lifecycle.retrainStatus(workflowId).catch(() => null);
    if (status?.phase === 'done') throw new Error(`${workflowId} was done before it asked for an approval`);
    const asked = status?.approval ?? null;
    if (asked !== null) return asked;
    await sleep(100);
  }
}

async function requireOneDecision({ registry }: Cluster, token: number): Promise<void> {
  const decided = await registry.approval(MODEL, token);
  if (decided?.decision.by !== 'ada' || decided.decision.identity !== 'verified')
    throw new Error(`the decision that stands is ${JSON.stringify(decided)}`);
  const opened = (await registry.auditRows(MODEL)).findLast(({ action }) => action === 'rollout.opened');
  const rows = (await registry.auditRows(MODEL)).filter(
    ({ action, sequence }) =>
      (action === 'rollout.approved' || action === 'rollout.rejected') && sequence > (opened?.sequence ?? 0),
  );
  if (rows.length !== 1) throw new Error(`${rows.length} decisions are in the audit`);
}

/** True where it is taken; false where it is refused as an answer that does not fit. */
async function isTaken(answering: Promise<unknown>): Promise<boolean> {
  return answering.then(
    () => true,
    (error: unknown) => {
      if (isTidemillError(error, 'APPROVAL_INVALID')) return false;
      throw error;
    },
  );
}

/** SIGKILL of the lifecycle worker around the use of an answer. */
const kills: readonly RolloutFault[] = ['before-use', 'after-use', 'before-result'].map((place) => ({
  step: 'approval',
  fault: `kill ${place}`,
  outcomes: ['promoted'],
  run: (cluster, id) =>
    approved(
      cluster,
      id,
      async ({ client, waiting, sign }) => {
        const answer = await sign(await waiting());
        const answering = client.approve(MODEL, answer);
        await cluster.lifecycleEnded();
        await cluster.restartLifecycle({}, 'approved');
        await answering;
      },
      { TIDEMILL_FAIL_POINT: `approval/${place}:1` },
    ),
}));

export const APPROVAL_FAULTS: readonly RolloutFault[] = [
  ...kills,
  {
    step: 'approval',
    fault: 'forged by a signal',
    outcomes: ['compensated'],
    run: (cluster, id) =>
      approved(cluster, id, async ({ client, workflowId, waiting, sign }) => {
        const handle = cluster.lifecycle.temporal.workflow.getHandle(workflowId);
        const forged = { approved: true, by: 'mallory', identity: 'verified', reason: '' };
        await reached(cluster, workflowId, 'canary');
        await handle.signal(SIGNAL_APPROVAL, forged);
        const request = await waiting();
        await handle.signal(SIGNAL_APPROVAL, forged);
        await sleep(3_000);
        await reached(cluster, workflowId, 'approval');
        await client.reject(MODEL, await sign(request, 'reject'));
      }),
  },
  {
    step: 'approval',
    fault: 'answered too early, three times at once, and again',
    outcomes: ['promoted'],
    run: (cluster, id) =>
      approved(cluster, id, async ({ client, workflowId, waiting, sign }) => {
        await reached(cluster, workflowId, 'shadow');
        const version = (await cluster.registry.versions(MODEL)).at(-1);
        const [rollout] = await cluster.registry.rollouts(MODEL);
        if (version === undefined || rollout === undefined) throw new Error('invariant broken: nothing is registered');
        const { sha256 } = version.artifact;
        const early = { model: MODEL, version: version.version, sha256, evidence: '', token: rollout.token };
        if (await isTaken(client.approve(MODEL, await sign({ ...early, requestedBy: null }))))
          throw new Error('an answer to nothing was taken');
        const request = await waiting();
        const answers = await Promise.all([1, 2, 3].map(() => sign(request)));
        const taken = await Promise.all(answers.map((answer) => isTaken(client.approve(MODEL, answer))));
        if (taken.filter(Boolean).length !== 1) throw new Error(`${taken.filter(Boolean).length} answers were taken`);
        if (await isTaken(client.reject(MODEL, await sign(request, 'reject'))))
          throw new Error('a rejection was taken after the approval');
      }),
  },
];

/** For cases that have to do something between the last evidence and the promotion. */
export function whileApprovalWaits(cluster: Cluster, id: string, act: () => Promise<void>): Promise<string> {
  return approved(cluster, id, async ({ client, waiting, sign }) => {
    const request = await waiting();
    await act();
    await client.approve(MODEL, await sign(request));
  });
}
