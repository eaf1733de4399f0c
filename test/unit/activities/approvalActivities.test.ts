import { createRequire } from 'node:module';
import { createServer, type Server } from 'node:http';
import { mkdtemp, rm, stat } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type * as TemporalTesting from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { exportJWK, generateKeyPair, SignJWT, type CryptoKey, type JWTPayload } from 'jose';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  createApprovalActivities,
  createApprovalVerifier,
  type ActivityDependencies,
} from '../../../activities/index.js';
import { createLocalIssuer, signApproval, type ApprovalToSign } from '../../../client/localIssuer.js';
import type { ApprovalAction, ApprovalAnswer } from '../../../contracts/approval.js';
import { approvalIssuersFrom } from '../../../contracts/approvalIssuer.js';
import type { ApprovalDecision, ApprovalRequest } from '../../../contracts/rollout.js';
import { hashOf } from '../../../features/hash.js';
import { verifyAudit } from '../../../stores/registry/auditChain.js';
import type { Fence, Registry } from '../../../stores/registry/registry.js';
import { openSqliteRegistry } from '../../../stores/registry/sqliteRegistry.js';
import { claimsOf, waitingRollout } from '../../support/approvals.js';

const { MockActivityEnvironment } = createRequire(import.meta.url)('@temporalio/testing') as typeof TemporalTesting;
const project = 'p';

let home: string;
let registry: Registry;
let fence: Fence;
let request: ApprovalRequest;
beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), 'tidemill-approval-'));
  registry = await openSqliteRegistry({ file: join(home, 'registry.db'), project });
  ({ fence, request } = await waitingRollout(registry));
});
afterEach(async () => {
  await registry.close();
  await rm(home, { recursive: true });
});

let attempts = 0;
/** One activity of its own, or the attempt of the activity that is named. */
async function answer(
  given: ApprovalAnswer,
  options: {
    readonly action?: ApprovalAction;
    readonly activityId?: string;
    readonly env?: Record<string, string>;
    readonly reach?: (point: string) => void;
    readonly clock?: () => number;
  } = {},
): Promise<ApprovalDecision> {
  const { action = 'approve', env = {}, clock } = options;
  const approvals = createApprovalVerifier(
    approvalIssuersFrom({ TIDEMILL_HOME: home, ...env }),
    clock === undefined ? { project } : { project, clock },
  );
  const dependencies = { registry, approvals, ...(options.reach && { reach: options.reach }) };
  const activities = createApprovalActivities(dependencies as Partial<ActivityDependencies> as ActivityDependencies);
  const environment = new MockActivityEnvironment(
    { activityId: options.activityId ?? `activity-${++attempts}` },
    { logger: new DefaultLogger('ERROR') },
  );
  return environment.run<unknown[], ApprovalDecision, () => Promise<ApprovalDecision>>(() =>
    activities.checkApproval('fraud', action === 'approve', given),
  );
}
const refusal = async (work: Promise<unknown>): Promise<string> => {
  const error: unknown = await work.then(
    (taken) => new Error(`it was taken: ${JSON.stringify(taken)}`),
    (reason: unknown) => reason,
  );
  return (error as Error).message;
};
const signed = (changed: Parameters<typeof claimsOf>[1] = {}, more: Partial<ApprovalToSign> = {}): Promise<string> =>
  signApproval(home, { project, subject: 'ada', binding: claimsOf(request, changed), ...more });

describe('with a key of this machine', () => {
  beforeEach(async () => {
    await createLocalIssuer(home);
  });

  test('the key is for its owner alone, and making it again changes nothing', async () => {
    const { keyFile, created } = await createLocalIssuer(home);
    expect(created).toBe(false);
    expect((await stat(keyFile)).mode & 0o777).toBe(0o600);
  });

  test('a signed answer is taken as its subject’s, and stands in the audit with what it was bound to', async () => {
    const decision = { approved: true, by: 'ada', identity: 'verified', reason: 'looks right' };
    expect(await answer({ token: await signed(), reason: 'looks right' })).toEqual(decision);
    const rows = await registry.auditRows('fraud');
    expect(verifyAudit(rows).kind).toBe('intact');
    expect(rows.at(-1)).toMatchObject({
      actor: 'ada',
      action: 'rollout.approved',
      reason: 'looks right',
      after: { ...decision, token: fence.token },
      evidence: { ...request, issuer: 'tidemill-local', roles: ['approver'] },
    });
    const [entry] = (await registry.journal('fraud', fence.token)).filter(({ step }) => step === 'approval');
    expect(entry?.result).toEqual(decision);
  });

  test('whoever asked may say no', async () => {
    const token = await signed({ action: 'reject' }, { subject: 'olga' });
    expect(await answer({ token, reason: 'withdrawn' }, { action: 'reject' })).toMatchObject({
      approved: false,
      by: 'olga',
    });
    expect((await registry.auditRows('fraud')).at(-1)?.action).toBe('rollout.rejected');
  });

  test.each<[string, Parameters<typeof claimsOf>[1], Partial<ApprovalToSign>, string]>([
    ['another version', { version: 7 }, {}, 'version 1 waits, not 7'],
    ['another rollout', { token: 9 }, {}, 'rollout 1 waits, not 9'],
    ['another model', { model: 'churn' }, {}, 'the token is for model churn'],
    ['another artifact', { sha256: 'b'.repeat(64) }, {}, 'another artifact'],
    ['changed evidence', { evidence: 'e'.repeat(64) }, {}, 'the evidence is not what was shown'],
    ['the other action', { action: 'reject' }, {}, 'signed to reject, not to approve'],
    ['the requester', {}, { subject: 'olga' }, 'olga asked for it and cannot approve it'],
    ['another role', {}, { role: 'viewer' }, 'ada does not have the role approver'],
    ['another project', {}, { project: 'q' }, 'claim aud'],
    ['an hour ago', {}, { nowMs: Date.now() - 3_600_000 }, 'the token has expired'],
    ['the future', {}, { nowMs: Date.now() + 3_600_000 }, 'claim iat'],
  ])('a token of %s is refused and uses nothing up', async (_, changed, more, why) => {
    const message = await refusal(answer({ token: await signed(changed, more) }));
    expect(message).toContain('APPROVAL_INVALID: ');
    expect(message).toContain(why);
    expect(await registry.approval('fraud', fence.token)).toBeNull();
    expect(await answer({ token: await signed() })).toMatchObject({ approved: true });
  });

  test('a token of another key, a changed one and none at all are refused', async () => {
    const other = await mkdtemp(join(tmpdir(), 'tidemill-other-'));
    await createLocalIssuer(other);
    const foreign = await signApproval(other, { project, subject: 'ada', binding: claimsOf(request) });
    await rm(other, { recursive: true });
    expect(await refusal(answer({ token: foreign }))).toContain('the signature is not that of the issuer');

    const [header, payload, signature] = (await signed()).split('.') as [string, string, string];
    const claims = JSON.parse(Buffer.from(payload, 'base64url').toString()) as object;
    const forged = Buffer.from(JSON.stringify({ ...claims, sub: 'mallory' })).toString('base64url');
    expect(await refusal(answer({ token: `${header}.${forged}.${signature}` }))).toContain('the signature is not');
    const none = Buffer.from('{"alg":"none"}').toString('base64url');
    expect(await refusal(answer({ token: `${none}.${payload}.` }))).toContain('of a kind that is not accepted');
    expect(await refusal(answer({ token: 'nonsense' }))).toContain('it is not a token');
    const unsigned = { by: 'ada', version: request.version, evidence: request.evidence };
    expect(await refusal(answer(unsigned))).toContain('the answer must be a signed token');
    expect(await registry.approval('fraud', fence.token)).toBeNull();
  });

  test('a token is used once; a second answer hears of the first', async () => {
    const token = await signed();
    await answer({ token });
    expect(await refusal(answer({ token }))).toMatch(/the token \S+ has been used for rollout 1/);
    const late = await signed({ action: 'reject' }, { subject: 'bob' });
    expect(await refusal(answer({ token: late }, { action: 'reject' }))).toContain('rollout 1 was approved by ada');
    expect((await registry.auditRows('fraud')).filter(({ action }) => action === 'rollout.approved')).toHaveLength(1);
  });

  test('an attempt whose answer was lost gets it again, even once the token has expired', async () => {
    const token = await signed();
    const lost = answer(
      { token },
      {
        activityId: 'lost',
        reach: (point) => {
          if (point === 'approval/after-use') throw new Error('the worker is gone');
        },
      },
    );
    await expect(lost).rejects.toThrow('the worker is gone');
    const later = await answer({ token }, { activityId: 'lost', clock: () => Date.now() + 3_600_000 });
    expect(later).toMatchObject({ approved: true, by: 'ada' });
  });

  test('evidence that was added after the request stops an approval, not a rejection', async () => {
    await registry.storeEvidence(fence, request.version, 'absolute/late', { verdict: 'fail' });
    expect(await refusal(answer({ token: await signed() }))).toContain('the evidence has changed');
    const token = await signed({ action: 'reject' });
    expect(await answer({ token }, { action: 'reject' })).toMatchObject({ approved: false });
  });

  test('without anything that waits, every answer is refused', async () => {
    await registry.closeRollout(fence, 'not promoted');
    expect(await refusal(answer({ token: await signed() }))).toContain('nothing waits for an approval');
    await registry.openRollout('fraud', 'w2', 'manual');
    expect(await refusal(answer({ token: await signed() }))).toContain('nothing waits for an approval');
  });
});

describe('with an identity provider', () => {
  let server: Server;
  let env: Record<string, string>;
  let sign: (claims: JWTPayload, changed?: { readonly key?: CryptoKey }) => Promise<string>;
  beforeEach(async () => {
    const { privateKey, publicKey } = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' };
    server = createServer((asked, reply) => {
      const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
      const body = asked.url === '/keys' ? { keys: [jwk] } : { issuer: url, jwks_uri: `${url}/keys` };
      reply.setHeader('content-type', 'application/json').end(JSON.stringify(body));
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    env = {
      TIDEMILL_OIDC_ISSUER: issuer,
      TIDEMILL_OIDC_AUDIENCE: 'tidemill',
      TIDEMILL_OIDC_ROLE_CLAIM: 'realm_access.roles',
      TIDEMILL_APPROVER_ROLE: 'ml-approver',
    };
    sign = (claims, { key = privateKey } = {}) =>
      new SignJWT({ realm_access: { roles: ['staff', 'ml-approver'] }, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: 'one' })
        .setIssuer(issuer)
        .setAudience('tidemill')
        .setSubject('ada@example.org')
        .setIssuedAt()
        .setExpirationTime('8h')
        .sign(key);
  });
  afterEach(async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
  });

  test('its token approves, found by discovery, the role in a claim of any depth', async () => {
    const decision = await answer({ token: await sign({ ...claimsOf(request) }) }, { env });
    expect(decision).toMatchObject({ approved: true, by: 'ada@example.org', identity: 'verified' });
    expect((await registry.auditRows('fraud')).at(-1)?.evidence).toMatchObject({ issuer: env['TIDEMILL_OIDC_ISSUER'] });
  });

  test('an id token with the hash of what waits as its nonce approves that, and nothing else', async () => {
    const other = await sign({ nonce: hashOf(claimsOf(request, { version: 2 })) });
    expect(await refusal(answer({ token: other }, { env }))).toContain('the nonce');
    const token = await sign({ nonce: hashOf(claimsOf(request)) });
    expect(await refusal(answer({ token }, { env, action: 'reject' }))).toContain('the nonce');
    expect(await answer({ token }, { env })).toMatchObject({ approved: true });
    expect(await refusal(answer({ token }, { env }))).toContain('has been used');
  });

  test('a token that does not say what it is for, of another key, old or of another role is refused', async () => {
    expect(await refusal(answer({ token: await sign({}) }, { env }))).toContain('does not say what it is for');
    const { privateKey } = await generateKeyPair('ES256');
    const foreign = await sign({ ...claimsOf(request) }, { key: privateKey });
    expect(await refusal(answer({ token: foreign }, { env }))).toContain('the signature is not');
    const token = await sign({ ...claimsOf(request) });
    const nextHour = { env, clock: () => Date.now() + 3_600_000 };
    expect(await refusal(answer({ token }, nextHour))).toContain('the token has expired');
    const plain = await sign({ ...claimsOf(request), realm_access: { roles: ['staff'] } });
    expect(await refusal(answer({ token: plain }, { env }))).toContain('does not have the role ml-approver');
  });

  test('who asked cannot approve under another name that the provider knows', async () => {
    for (const name of ['email', 'preferred_username']) {
      const token = await sign({ ...claimsOf(request), [name]: 'olga' });
      expect(await refusal(answer({ token }, { env }))).toContain('olga asked for it and cannot approve it');
    }
  });

  test('a key of this machine is good for nothing beside it', async () => {
    await createLocalIssuer(home);
    expect(await refusal(answer({ token: await signed() }, { env }))).toContain('APPROVAL_INVALID');
  });

  test('one that does not answer leaves the token unused', async () => {
    server.closeAllConnections();
    await new Promise((done) => server.close(done));
    const token = await sign({ ...claimsOf(request) });
    expect(await refusal(answer({ token }, { env }))).toContain('ISSUER_UNAVAILABLE');
    expect(await registry.approval('fraud', fence.token)).toBeNull();
  });
});

describe('without an issuer', () => {
  test('an answer is taken at its word, and says so', async () => {
    const given = { by: 'ada', version: request.version, evidence: request.evidence };
    expect(await refusal(answer({ ...given, by: 'olga' }))).toContain('olga asked for it');
    expect(await refusal(answer({ ...given, version: 2 }))).toContain('version 1 waits, not 2');
    expect(await refusal(answer({ ...given, evidence: 'other' }))).toContain('the evidence is not');
    expect(await answer(given)).toMatchObject({ approved: true, by: 'ada', identity: 'unverified' });
    expect((await registry.auditRows('fraud')).at(-1)?.after).toMatchObject({ identity: 'unverified', jti: null });
  });

  test('an answer that comes once the time for it has ended is refused; one that came before stands', async () => {
    const activities = createApprovalActivities({ registry } as unknown as ActivityDependencies);
    const given = { by: 'ada', version: request.version, evidence: request.evidence };
    expect(await activities.endApproval(fence)).toEqual({ decision: null });
    expect(await refusal(answer(given))).toContain('nothing waits for an approval');

    await registry.closeRollout(fence, 'not promoted');
    const { fence: next, request: asked } = await waitingRollout(registry, { holder: 'w2' });
    const decision = await answer({ by: 'ada', version: asked.version, evidence: asked.evidence });
    expect(await activities.endApproval(next)).toEqual({ decision });
  });

  test('a token proves nothing', async () => {
    expect(await refusal(answer({ token: 'a.b.c' }))).toContain('no issuer is set up');
  });

  test('an answer of another shape is refused by name', async () => {
    expect(await refusal(answer({ by: 'ada' } as never))).toMatch(/INPUT_INVALID: .*version/);
  });
});

test('an identity provider needs an audience', () => {
  expect(() => approvalIssuersFrom({ TIDEMILL_OIDC_ISSUER: 'https://id.example' })).toThrow('TIDEMILL_OIDC_AUDIENCE');
  expect(() => approvalIssuersFrom({ TIDEMILL_OIDC_ISSUER: 'id.example' })).toThrow('is not a URL');
});
