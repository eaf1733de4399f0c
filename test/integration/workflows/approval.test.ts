import { rm } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createLocalIssuer } from '../../../client/localIssuer.js';
import { TidemillClient } from '../../../client/tidemillClient.js';
import { isTidemillError, messageOf } from '../../../contracts/errors.js';
import { SIGNAL_APPROVAL } from '../../../contracts/rollout.js';
import { lifecycleId } from '../../../contracts/workflows.js';
import { verifyAudit } from '../../../stores/registry/auditChain.js';
import { RolloutServer } from '../../support/rolloutServer.js';

let server: RolloutServer;
let client: TidemillClient;
beforeAll(async () => {
  server = await RolloutServer.start();
  ({ client } = server);
});
afterAll(() => server.stop());

const sign: RolloutServer['sign'] = (...wanted) => server.sign(...wanted);

/** Code and message of what a call is refused with. */
async function refusal(work: Promise<unknown>): Promise<string> {
  const error: unknown = await work.then(
    (done) => new Error(`it was taken: ${JSON.stringify(done)}`),
    (reason: unknown) => reason,
  );
  return isTidemillError(error) ? `${error.code}: ${error.message}` : `no code: ${messageOf(error)}`;
}

describe('with an issuer', () => {
  beforeAll(async () => {
    await createLocalIssuer(server.home);
  });
  afterAll(() => rm(join(server.home, 'approval'), { recursive: true }));

  let waiting: Awaited<ReturnType<RolloutServer['waiting']>>;
  const end = async (): Promise<unknown> => {
    const result = await client.retrainResult(waiting.workflowId);
    await server.atRest('fraud');
    return result;
  };

  test('a signed approval promotes the version, and the audit names its subject', async () => {
    waiting = await server.waiting();
    const { request } = waiting;
    expect(request).toMatchObject({ model: 'fraud', requestedBy: 'olga' });
    const token = await sign(request);
    expect(await client.approve('fraud', { token, reason: 'looks right' })).toEqual({
      approved: true,
      by: 'ada',
      identity: 'verified',
      reason: 'looks right',
    });
    expect(await end()).toMatchObject({ outcome: 'promoted', version: request.version });
    expect((await server.registry.deployment('fraud'))?.champion).toBe(request.version);
    const rows = await server.registry.auditRows('fraud');
    expect(rows.find(({ action }) => action === 'rollout.approved')).toMatchObject({
      actor: 'ada',
      reason: 'looks right',
    });
    expect(verifyAudit(rows).kind).toBe('intact');
    // What was good for that rollout is good for none after it.
    expect(await refusal(client.approve('fraud', { token }))).toBe(
      'APPROVAL_INVALID: fraud: nothing waits for an approval',
    );
  });

  test('a rejection ends the rollout, and nothing has changed', async () => {
    const champion = (await server.registry.deployment('fraud'))?.champion;
    waiting = await server.waiting();
    const token = await sign(waiting.request, { action: 'reject' });
    expect(await client.reject('fraud', { token, reason: 'slices' })).toMatchObject({ approved: false, by: 'ada' });
    expect(await end()).toMatchObject({ outcome: 'notPromoted', reason: 'rejected by ada: slices' });
    expect((await server.registry.deployment('fraud'))?.champion).toBe(champion);
    expect((await server.registry.version('fraud', waiting.request.version))?.status).toBe('rejected');
  });

  test('whatever does not fit is refused by name, and the rollout waits on for what does', async () => {
    waiting = await server.waiting();
    const { request, workflowId } = waiting;
    const wrong: [string, Promise<string>][] = [
      [`version ${request.version} waits, not 99`, sign(request, { version: 99 })],
      [`rollout ${request.token} waits, not 1`, sign(request, { token: 1 })],
      ['the evidence is not what was shown', sign(request, { evidence: 'e'.repeat(64) })],
      ['another artifact', sign(request, { sha256: 'b'.repeat(64) })],
      ['signed to reject, not to approve', sign(request, { action: 'reject' })],
      ['olga asked for it and cannot approve it', sign(request, {}, { subject: 'olga' })],
      ['does not have the role approver', sign(request, {}, { role: 'viewer' })],
      ['the token has expired', sign(request, {}, { nowMs: Date.now() - 3_600_000 })],
      ['the signature is not that of the issuer', sign(request).then((token) => `${token.slice(0, -8)}AAAAAAAA`)],
    ];
    for (const [why, token] of wrong) {
      const said = await refusal(client.approve('fraud', { token: await token }));
      expect(said).toMatch(/^APPROVAL_INVALID: /);
      expect(said).toContain(why);
    }
    const unsigned = { by: 'ada', version: request.version, evidence: request.evidence };
    expect(await refusal(client.approve('fraud', unsigned))).toContain('must be a signed token');

    // Two at once, in one token and in two: one is taken.
    const [one, other] = [await sign(request), await sign(request, {}, { subject: 'bob' })];
    const taken = await Promise.allSettled([one, one, other].map((token) => client.approve('fraud', { token })));
    expect(taken.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
    expect(await end()).toMatchObject({ outcome: 'promoted', version: request.version });
    expect(await server.registry.approval('fraud', request.token)).toMatchObject({
      decision: { identity: 'verified' },
    });
    expect(await client.retrainResult(workflowId)).toMatchObject({ token: request.token });
  });

  test('a signal that says it was approved approves nothing', async () => {
    waiting = await server.waiting();
    const { request, workflowId } = waiting;
    const handle = server.lifecycle.temporal.workflow.getHandle(workflowId);
    await handle.signal(SIGNAL_APPROVAL, { approved: true, by: 'mallory', identity: 'verified', reason: '' });
    const token = await sign(request, { action: 'reject' });
    await client.reject('fraud', { token, reason: 'no' });
    expect(await end()).toMatchObject({ outcome: 'notPromoted', reason: 'rejected by ada: no' });
    // It was heard, looked up and not believed.
    const { events } = await handle.fetchHistory();
    const lookedUp = (events ?? []).filter(
      (event) => event.activityTaskScheduledEventAttributes?.activityType?.name === 'recordApproval',
    );
    // Once for both, where both came before it was looked up.
    expect(lookedUp.length).toBeGreaterThan(0);
  });
});

describe('without an issuer', () => {
  test('an answer at its word is taken, and says that nobody checked it', async () => {
    const { request, workflowId } = await server.waiting();
    const given = { by: 'ada', version: request.version, evidence: request.evidence };
    expect(await refusal(client.approve('fraud', { ...given, by: 'olga' }))).toContain('olga asked for it');
    expect(await client.approve('fraud', given)).toMatchObject({ by: 'ada', identity: 'unverified' });
    expect(await client.retrainResult(workflowId)).toMatchObject({ outcome: 'promoted' });
    await server.atRest('fraud');
  });
});

describe('before it is accepted', () => {
  test('an answer of another shape, or while nobody rolls out, is refused and leaves no trace', async () => {
    const handle = server.lifecycle.temporal.workflow.getHandle(lifecycleId(server.project, 'fraud'));
    const { historyLength } = await handle.describe();
    expect(await refusal(client.approve('fraud', { by: 'ada' } as never))).toMatch(/^INPUT_INVALID: an answer is /);
    expect(await refusal(client.reject('fraud', { token: 'a.b.c' }))).toContain('nothing waits for an approval');
    const { events } = await handle.fetchHistory();
    expect(
      (events ?? []).slice(historyLength).some((event) => event.workflowExecutionUpdateAcceptedEventAttributes),
    ).toBe(false);
  });

  test('an answer for a model that nothing was asked of starts no lifecycle', async () => {
    expect(await refusal(client.approve('untouched', { token: 'a.b.c' }))).toMatch(/^WORKFLOW_NOT_FOUND: /);
    expect(await server.lifecycle.isRunning(lifecycleId(server.project, 'untouched'))).toBe(false);
  });
});

describe('the client', () => {
  afterEach(() => server.atRest('automatic'));

  test('starts, watches and rolls back; what cannot be done comes out under its code', async () => {
    expect(await refusal(client.rollback('automatic', { reason: 'none yet' }))).toMatch(/^ROLLBACK_IMPOSSIBLE: /);
    const versions: number[] = [];
    for (let at = 0; at < 2; at++) {
      const { workflowId } = await client.requestRetrain('automatic', { reason: 'test', allowNoInstances: true });
      const kinds = new Set<string>();
      for await (const change of client.watch({ workflowId }, { pollMs: 20 })) kinds.add(change.kind);
      expect([...kinds].sort()).toEqual(expect.arrayContaining(['result', 'step']));
      const result = await client.retrainResult(workflowId);
      if (result.outcome !== 'promoted') throw new Error(JSON.stringify(result));
      versions.push(result.version);
      await server.atRest('automatic');
    }
    const [first, second] = versions;
    const back = await client.startRollback('automatic', { reason: 'blocks good customers' });
    const steps: string[] = [];
    for await (const change of client.watch({ workflowId: back }, { pollMs: 20 }))
      if (change.kind === 'step') steps.push(change.step);
    expect(steps).toEqual(['rollback', 'active', 'decided']);
    expect(await client.rollbackResult(back)).toMatchObject({ outcome: 'rolledBack', from: second, to: first });
    expect(await client.rollback('automatic', { reason: 'again' })).toEqual({
      outcome: 'alreadyRolledBack',
      to: first,
    });
    expect(await refusal(client.rollback('automatic', { reason: 'x', to: 99 }))).toContain('there is no version 99');
  });

  test('pauses and resumes', async () => {
    await client.pause('automatic', { by: 'ada', reason: 'labels are corrected' });
    expect((await client.status('automatic')).paused).toEqual({ by: 'ada', reason: 'labels are corrected' });
    await client.resume('automatic', { by: 'ada' });
    expect((await client.status('automatic')).paused).toBeNull();
  });

  test('a model that the project does not have is named, and leaves no lifecycle behind', async () => {
    const handle = server.lifecycle.temporal.workflow.getHandle(lifecycleId(server.project, 'nosuch'));
    for (const work of [
      () => client.requestRetrain('nosuch'),
      () => client.pause('nosuch', { by: 'ada', reason: 'x' }),
      () => client.rollback('nosuch', { reason: 'x' }),
    ])
      expect(await refusal(work())).toMatch(/^DEFINITION_INVALID: .*there is no model "nosuch"/);
    await handle.result().catch(() => undefined);
    expect(await server.lifecycle.isRunning(lifecycleId(server.project, 'nosuch'))).toBe(false);
    expect(await refusal(client.status('neither'))).toMatch(/^WORKFLOW_NOT_FOUND: /);
  });

  test('a request that is not one is refused by field', async () => {
    expect(await refusal(client.requestRetrain('automatic', { requestedBy: 7 } as never))).toMatch(
      /^INPUT_INVALID: retrainModel: requestedBy/,
    );
    expect(await refusal(client.rollback('automatic', { reason: '' }))).toMatch(
      /^INPUT_INVALID: rollbackModel: reason/,
    );
  });

  test('a server that does not answer is told apart from a worker that does not', async () => {
    const nobody = TidemillClient.connect({ project: 'p', address: '127.0.0.1:1' });
    expect(await refusal(nobody)).toMatch(/^TEMPORAL_UNAVAILABLE: /);
    const { address } = server.temporal;
    const unserved = await TidemillClient.connect({ project: 'unserved', address, answerMs: 1_000 });
    expect(await refusal(unserved.pause('fraud', { by: 'ada', reason: 'x' }))).toMatch(/^WORKER_SILENT: /);
    expect(await refusal(unserved.status('fraud'))).toMatch(/^WORKER_SILENT: /);
    await unserved.close();
  });
});
