import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { ErrorCode } from '../../../../contracts/errorCodes.js';
import type { AuditResult } from '../../../../contracts/consistency.js';
import { isTidemillError, messageOf } from '../../../../contracts/errors.js';
import { GENESIS_HASH, verifyAudit } from '../../../../stores/registry/auditChain.js';
import type {
  ApprovalUse,
  DeploymentChange,
  Fence,
  InstanceState,
  Registry,
  VersionDraft,
} from '../../../../stores/registry/registry.js';

/** An empty store under a clock that the test sets. */
export interface RegistryUnderTest {
  /** Opens the store once more, as another process would. */
  open(project?: string): Promise<Registry>;
  setClock(nowMs: number): void;
  dispose(): Promise<void>;
}

const START_MS = 1_700_000_000_000;

export function draftOf(model: string, sha256: string): VersionDraft {
  return {
    model,
    artifact: { uri: `objects/${sha256}`, sha256, bytes: 1234 },
    service: 'service-hash',
    columns: ['amount', 'count_1d'],
    dataset: { uri: 'datasets/1', sha256: 'd'.repeat(64) },
    trainer: 'xgboost',
    hyperparameters: { rounds: 100 },
    codeVersion: 'abc',
    workflow: { id: 'retrain/fraud/manual', runId: 'r1' },
    trigger: 'manual',
    metrics: { auc: 0.87 },
    lineage: { offsets: { transactions: [1, 2] } },
  };
}

export function changeOf(
  fence: Fence,
  step: string,
  expectEpoch: number,
  next: Partial<DeploymentChange['next']> = {},
): DeploymentChange {
  return {
    fence,
    step,
    expectEpoch,
    next: { mode: 'single', champion: null, challenger: null, share: 0, salt: 's', prepare: null, ...next },
    actor: 'test',
    reason: `step ${step}`,
    evidence: { gate: 'auc', value: 0.9 },
  };
}

/** One use of a token by an attempt. */
export function useOf(
  jti: string | null,
  usedBy: string,
  decision: Partial<ApprovalUse['decision']> = {},
): ApprovalUse {
  return {
    jti,
    usedBy,
    decision: { approved: true, by: 'ada', identity: 'verified', reason: 'good', ...decision },
    evidence: { version: 1 },
  };
}

export async function expectCode(work: Promise<unknown>, code: ErrorCode): Promise<void> {
  const thrown: unknown = await work.then(
    () => new Error('nothing was thrown'),
    (error: unknown) => error,
  );
  expect(isTidemillError(thrown, code), `expected ${code}, got ${messageOf(thrown)}`).toBe(true);
}

/** What every adapter of the registry must do. */
export function describeRegistry(name: string, create: () => RegistryUnderTest): void {
  describe(name, () => {
    let store: RegistryUnderTest;
    let registry: Registry;

    beforeEach(async () => {
      store = create();
      store.setClock(START_MS);
      registry = await store.open();
    });
    afterEach(async () => {
      await registry.close();
      await store.dispose();
    });

    test('the objects that rollouts name are found in journals and versions, across projects', async () => {
      const another = await store.open('another-project');
      const other = await another.openRollout('objects-of-churn', 'w1', 'manual');
      await another.journalIntent(other, 'dataset', {});
      await another.journalResult(other, 'dataset', { data: { uri: 'objects://datasets/a.parquet' }, columns: ['a'] });
      await another.closeRollout(other, 'not promoted');
      await another.close();
      store.setClock(START_MS + 7);
      const fence = await registry.openRollout('objects-of-fraud', 'w2', 'manual');
      await registry.journalIntent(fence, 'gates', { files: ['objects://models/e.onnx', 'objects://models/f.onnx'] });
      const artifact = { uri: 'objects://models/b.onnx', sha256: 'b', bytes: 1 };
      const dataset = { uri: 'objects://manifests/c.json', sha256: 'c' };
      await registry.registerVersion({ ...draftOf('objects-of-fraud', 'b'), artifact, dataset }, fence);
      await registry.rejectVersion('objects-of-fraud', 1, 'worse', fence);
      // Projects of other tests may be there, too.
      const found = (await registry.rolloutObjects()).filter(({ model }) => model.startsWith('objects-of-'));
      expect(found).toEqual([
        {
          project: expect.stringMatching(/^another-project/) as string,
          model: 'objects-of-churn',
          token: 1,
          openedAt: START_MS,
          isOpen: false,
          journal: ['objects://datasets/a.parquet'],
          versions: [],
        },
        {
          project: expect.stringMatching(/^fraud-project/) as string,
          model: 'objects-of-fraud',
          token: 1,
          openedAt: START_MS + 7,
          isOpen: true,
          journal: ['objects://models/e.onnx', 'objects://models/f.onnx'],
          versions: [
            { version: 1, status: 'rejected', uris: ['objects://models/b.onnx', 'objects://manifests/c.json'] },
          ],
        },
      ]);
    });

    describe('approvals', () => {
      let fence: Fence;
      beforeEach(async () => {
        fence = await registry.openRollout('fraud', 'w1', 'manual');
      });
      const ask = (): Promise<void> => registry.journalIntent(fence, 'approval', { version: 1 });

      test('a decision ends the step, is kept, and stands in the audit as its giver’s', async () => {
        await ask();
        expect(await registry.approval('fraud', fence.token)).toBeNull();
        store.setClock(START_MS + 5);
        const use = useOf('t1', 'a1');
        expect(await registry.consumeApproval(fence, use)).toEqual(use.decision);
        const { evidence, ...kept } = use;
        expect(await registry.approval('fraud', fence.token)).toEqual({ ...kept, token: 1, decidedAt: START_MS + 5 });
        expect(await registry.journal('fraud', fence.token)).toMatchObject([
          { step: 'approval', result: use.decision, finishedAt: START_MS + 5 },
        ]);
        const rows = await registry.auditRows('fraud');
        expect(rows.at(-1)).toMatchObject({ actor: 'ada', action: 'rollout.approved', reason: 'good', evidence });
        expect(verifyAudit(rows).kind).toBe('intact');
      });

      test('a rejection is told apart in the audit', async () => {
        await ask();
        await registry.consumeApproval(fence, useOf('t1', 'a1', { approved: false }));
        expect((await registry.auditRows('fraud')).at(-1)?.action).toBe('rollout.rejected');
      });

      test('the attempt that used a token gets its decision again, also once the rollout is over', async () => {
        await ask();
        const use = useOf('t1', 'a1');
        await registry.consumeApproval(fence, use);
        expect(await registry.consumeApproval(fence, use)).toEqual(use.decision);
        await registry.openRollout('fraud', 'w2', 'manual');
        expect(await registry.consumeApproval(fence, use)).toEqual(use.decision);
        expect((await registry.auditRows('fraud')).filter(({ action }) => action === 'rollout.approved')).toHaveLength(
          1,
        );
      });

      test('nobody else uses the token again, in this rollout or a later one', async () => {
        await ask();
        await registry.consumeApproval(fence, useOf('t1', 'a1'));
        await expectCode(registry.consumeApproval(fence, useOf('t1', 'a2')), 'APPROVAL_INVALID');
        fence = await registry.openRollout('fraud', 'w2', 'manual');
        await ask();
        await expect(registry.consumeApproval(fence, useOf('t1', 'a3'))).rejects.toThrow('has been used for rollout 1');
        // A refusal leaves the rollout open for another answer.
        expect(await registry.consumeApproval(fence, useOf('t2', 'a4'))).toMatchObject({ by: 'ada' });
      });

      test('a rollout is decided once, unsigned answers included', async () => {
        await ask();
        await registry.consumeApproval(fence, useOf(null, 'a1', { by: 'ben', identity: 'unverified' }));
        for (const jti of ['t1', null]) {
          const second = registry.consumeApproval(fence, useOf(jti, 'a2', { approved: false }));
          await expect(second).rejects.toThrow('rollout 1 was approved by ben');
        }
        // Nobody's token is used up by that.
        fence = await registry.openRollout('fraud', 'w2', 'manual');
        await ask();
        await registry.consumeApproval(fence, useOf('t1', 'a3'));
      });

      test('what does not wait for an answer takes none', async () => {
        await expect(registry.consumeApproval(fence, useOf('t1', 'a1'))).rejects.toThrow('nothing waits');
        await ask();
        await registry.closeRollout(fence, 'not promoted');
        await expectCode(registry.consumeApproval(fence, useOf('t1', 'a1')), 'FENCED');
        const next = await registry.openRollout('fraud', 'w2', 'manual');
        await expectCode(registry.consumeApproval(fence, useOf('t1', 'a1')), 'FENCED');
        expect(await registry.approval('fraud', next.token)).toBeNull();
        expect((await registry.auditRows('fraud')).some(({ actor }) => actor === 'ada')).toBe(false);
      });

      test('the same id for another model, or in another project, is another token', async () => {
        await ask();
        await registry.consumeApproval(fence, useOf('t1', 'a1'));
        const other = await registry.openRollout('churn', 'w1', 'manual');
        await registry.journalIntent(other, 'approval', {});
        await registry.consumeApproval(other, useOf('t1', 'a2'));
        const elsewhere = await store.open('elsewhere');
        const third = await elsewhere.openRollout('fraud', 'w1', 'manual');
        await elsewhere.journalIntent(third, 'approval', {});
        await elsewhere.consumeApproval(third, useOf('t1', 'a3'));
        await elsewhere.close();
      });
    });

    describe('rollouts', () => {
      test('tokens count up per model and an older token is fenced', async () => {
        const first = await registry.openRollout('fraud', 'w1', 'manual');
        const other = await registry.openRollout('churn', 'w9', 'manual');
        const second = await registry.openRollout('fraud', 'w2', 'drift');
        expect([first.token, other.token, second.token]).toEqual([1, 1, 2]);
        for (const work of [
          registry.setPhase(first, 'training'),
          registry.journalIntent(first, 'snapshot', {}),
          registry.journalResult(first, 'snapshot', {}),
          registry.storeEvidence(first, null, 'auc', {}),
          registry.registerVersion(draftOf('fraud', 'a'), first),
          registry.changeDeployment(changeOf(first, 'commit', 0)),
        ]) {
          await expectCode(work, 'FENCED');
        }
        await registry.closeRollout(first, 'promoted');
        expect((await registry.rollout('fraud', 1))?.outcome).toBe('superseded');
        expect((await registry.rollouts('fraud')).map(({ token, closedAt }) => [token, closedAt])).toEqual([
          [2, null],
          [1, START_MS],
        ]);
      });

      test('the newest rollout is that of the greatest token, open or closed; there is none before the first', async () => {
        expect(await registry.newestRollout('fraud')).toBeNull();
        for (let token = 1; token <= 11; token++) await registry.openRollout('fraud', `w${token}`, 'manual');
        await registry.openRollout('churn', 'w12', 'manual');
        // As a number: as text, 9 would come last.
        expect(await registry.newestRollout('fraud')).toEqual(await registry.rollout('fraud', 11));
        await registry.closeRollout({ model: 'fraud', token: 11 }, 'promoted');
        expect(await registry.newestRollout('fraud')).toMatchObject({ token: 11, outcome: 'promoted' });
      });

      test('a holder that asks again gets the rollout that it has, and another one once that is closed', async () => {
        const first = await registry.openRollout('fraud', 'w1', 'manual');
        expect(await registry.openRollout('fraud', 'w1', 'manual')).toEqual(first);
        expect(await registry.auditRows('fraud')).toHaveLength(1);
        await registry.closeRollout(first, 'promoted');
        expect((await registry.openRollout('fraud', 'w1', 'manual')).token).toBe(2);
      });

      test('a token that was never issued is unknown', async () => {
        await registry.openRollout('fraud', 'w1', 'manual');
        await expectCode(registry.setPhase({ model: 'fraud', token: 2 }, 'x'), 'ROLLOUT_NOT_FOUND');
        await expectCode(registry.setPhase({ model: 'none', token: 1 }, 'x'), 'ROLLOUT_NOT_FOUND');
        expect(await registry.rollout('fraud', 2)).toBeNull();
      });

      test('the first closing stands; nothing happens under a closed rollout', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        await registry.setPhase(fence, 'training');
        store.setClock(START_MS + 5);
        await registry.closeRollout(fence, 'rejected');
        store.setClock(START_MS + 9);
        await registry.closeRollout(fence, 'rejected');
        expect(await registry.rollout('fraud', 1)).toEqual({
          model: 'fraud',
          token: 1,
          holder: 'w1',
          trigger: 'manual',
          phase: 'training',
          openedAt: START_MS,
          closedAt: START_MS + 5,
          outcome: 'rejected',
        });
        await registry.closeRollout(fence, 'promoted');
        expect((await registry.rollout('fraud', 1))?.outcome).toBe('rejected');
        await expectCode(registry.changeDeployment(changeOf(fence, 'commit', 0)), 'FENCED');
        await expectCode(registry.registerVersion(draftOf('fraud', 'a'), fence), 'FENCED');
      });

      test('the journal keeps the first intent and the first result of a step, in order', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        await registry.journalIntent(fence, 'snapshot', { at: 1 });
        await registry.journalIntent(fence, 'dataset', { rows: 10 });
        await registry.journalIntent(fence, 'snapshot', { at: 2 });
        expect((await registry.journal('fraud', 1))[0]?.finishedAt).toBeNull();
        store.setClock(START_MS + 7);
        await registry.journalResult(fence, 'snapshot', { offsets: [1] });
        await registry.journalResult(fence, 'snapshot', { offsets: [2] });
        await registry.journalResult(fence, 'dataset', undefined);
        expect(await registry.journal('fraud', 1)).toEqual([
          {
            step: 'snapshot',
            intent: { at: 1 },
            result: { offsets: [1] },
            startedAt: START_MS,
            finishedAt: START_MS + 7,
          },
          { step: 'dataset', intent: { rows: 10 }, result: null, startedAt: START_MS, finishedAt: START_MS + 7 },
        ]);
        await expectCode(registry.journalResult(fence, 'gates', {}), 'JOURNAL_INTENT_MISSING');
      });

      test('evidence that repeats is stored once, gets its version later, and stands beside other evidence of the gate', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        await registry.storeEvidence(fence, null, 'auc', { value: 0.9, look: 1 });
        await registry.storeEvidence(fence, null, 'auc', { look: 1, value: 0.9 });
        await registry.storeEvidence(fence, null, 'auc', { value: 0.9, look: 2 });
        expect(await registry.evidence('fraud', 1)).toEqual([
          { gate: 'auc', version: null, evidence: { value: 0.9, look: 1 } },
          { gate: 'auc', version: null, evidence: { value: 0.9, look: 2 } },
        ]);
        await registry.storeEvidence(fence, 3, 'auc', { value: 0.9, look: 1 });
        await registry.storeEvidence(fence, 3, 'auc', { value: 0.9, look: 1 });
        await registry.storeEvidence(fence, 3, 'brier', { value: 0.1 });
        expect(await registry.evidence('fraud', 1)).toEqual([
          { gate: 'auc', version: 3, evidence: { value: 0.9, look: 1 } },
          { gate: 'auc', version: null, evidence: { value: 0.9, look: 2 } },
          { gate: 'brier', version: 3, evidence: { value: 0.1 } },
        ]);
      });
    });

    describe('versions', () => {
      test('a version comes back as it was registered, and once per rollout and artifact', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        const draft = draftOf('fraud', 'a');
        const first = await registry.registerVersion(draft, fence);
        expect(first).toEqual({
          ...draft,
          version: 1,
          status: 'registered',
          reason: null,
          token: 1,
          createdAt: START_MS,
        });
        expect(await registry.registerVersion(draft, fence)).toEqual(first);
        expect((await registry.registerVersion(draftOf('fraud', 'b'), fence)).version).toBe(2);
        expect(await registry.version('fraud', 1)).toEqual(first);
        expect((await registry.versions('fraud')).map(({ version }) => version)).toEqual([1, 2]);
        expect(await registry.version('fraud', 9)).toBeNull();
        expect(await registry.versions('churn')).toEqual([]);
      });

      test('the versions that read a view are found by its name, with the hash that they read and their status', async () => {
        const readerOf = (model: string, sha256: string, views: Record<string, string>): VersionDraft => ({
          ...draftOf(model, sha256),
          lineage: { views },
        });
        const fraud = await registry.openRollout('fraud', 'w1', 'manual');
        const churn = await registry.openRollout('churn', 'w2', 'manual');
        await registry.registerVersion(readerOf('fraud', 'a', { spending: 'h1', moment: 'm1' }), fraud);
        await registry.registerVersion(readerOf('fraud', 'a', { spending: 'h1', moment: 'm1' }), fraud);
        await registry.registerVersion(readerOf('fraud', 'b', { spending: 'h2' }), fraud);
        await registry.registerVersion(readerOf('churn', 'c', { spending: 'h1' }), churn);
        // Of a program that kept no views.
        await registry.registerVersion(draftOf('churn', 'd'), churn);
        await registry.withdrawVersion('fraud', 1, 'leak', fraud);
        expect(await registry.versionsReading('spending')).toEqual([
          { model: 'churn', version: 1, status: 'registered', hash: 'h1' },
          { model: 'fraud', version: 1, status: 'withdrawn', hash: 'h1' },
          { model: 'fraud', version: 2, status: 'registered', hash: 'h2' },
        ]);
        expect(await registry.versionsReading('moment')).toEqual([
          { model: 'fraud', version: 1, status: 'withdrawn', hash: 'm1' },
        ]);
        expect(await registry.versionsReading('unread')).toEqual([]);
      });

      test('a repeat is answered after the rollout closed, but not under a newer token', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        const draft = draftOf('fraud', 'a');
        const first = await registry.registerVersion(draft, fence);
        await registry.closeRollout(fence, 'promoted');
        expect(await registry.registerVersion(draft, fence)).toEqual(first);
        await registry.openRollout('fraud', 'w2', 'manual');
        await expectCode(registry.registerVersion(draft, fence), 'FENCED');
      });

      test('a fence opens its own model only', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        await expectCode(registry.registerVersion(draftOf('churn', 'a'), fence), 'FENCED');
      });

      test('a champion is neither rejected nor withdrawn; a withdrawn artifact never comes back', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        await registry.registerVersion(draftOf('fraud', 'a'), fence);
        await registry.registerVersion(draftOf('fraud', 'b'), fence);
        await registry.changeDeployment(changeOf(fence, 'commit', 0, { champion: 1 }));
        await expectCode(registry.rejectVersion('fraud', 1, 'no', fence), 'VERSION_IN_USE');
        await expectCode(registry.withdrawVersion('fraud', 1, 'no', fence), 'VERSION_IN_USE');
        await expectCode(registry.rejectVersion('fraud', 7, 'no', fence), 'VERSION_NOT_FOUND');

        const rejected = await registry.rejectVersion('fraud', 2, 'auc 0.7', fence);
        expect([rejected.status, rejected.reason]).toEqual(['rejected', 'auc 0.7']);
        expect((await registry.rejectVersion('fraud', 2, 'again', fence)).reason).toBe('auc 0.7');
        await expectCode(
          registry.changeDeployment(changeOf(fence, 'commit-2', 1, { champion: 2 })),
          'VERSION_WITHDRAWN',
        );
        await expectCode(
          registry.changeDeployment(changeOf(fence, 'commit-3', 1, { champion: 1, standIn: 2 })),
          'VERSION_WITHDRAWN',
        );

        const withdrawn = await registry.withdrawVersion('fraud', 2, 'leak', fence);
        expect(withdrawn.status).toBe('withdrawn');
        await expectCode(registry.rejectVersion('fraud', 2, 'x', fence), 'VERSION_WITHDRAWN');
        const next = await registry.openRollout('fraud', 'w2', 'manual');
        await expectCode(registry.registerVersion(draftOf('fraud', 'b'), next), 'VERSION_WITHDRAWN');
        expect((await registry.registerVersion(draftOf('fraud', 'a'), next)).version).toBe(3);
      });
    });

    describe('deployments', () => {
      test('a change needs the epoch it was made from', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        await registry.registerVersion(draftOf('fraud', 'a'), fence);
        expect(await registry.deployment('fraud')).toBeNull();
        await expectCode(registry.changeDeployment(changeOf(fence, 'prepare', 1, { prepare: 1 })), 'EPOCH_STALE');
        const prepared = await registry.changeDeployment(changeOf(fence, 'prepare', 0, { prepare: 1 }));
        expect(prepared).toEqual({
          model: 'fraud',
          epoch: 1,
          mode: 'single',
          champion: null,
          challenger: null,
          share: 0,
          salt: 's',
          prepare: 1,
        });
        await expectCode(registry.changeDeployment(changeOf(fence, 'commit', 0, { champion: 1 })), 'EPOCH_STALE');
        const committed = await registry.changeDeployment(changeOf(fence, 'commit', 1, { champion: 1 }));
        expect(committed.epoch).toBe(2);
        expect(await registry.deployment('fraud')).toEqual(committed);
      });

      test('a repeated step returns the head, without another epoch, audit row or outbox row', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        await registry.registerVersion(draftOf('fraud', 'a'), fence);
        const change = changeOf(fence, 'commit', 0, { champion: 1 });
        const head = await registry.changeDeployment(change);
        expect(await registry.changeDeployment(change)).toEqual(head);
        await registry.closeRollout(fence, 'promoted');
        expect(await registry.changeDeployment(change)).toEqual(head);
        expect(await registry.pendingOutbox(10)).toHaveLength(1);
        const audit = await registry.auditRows('fraud');
        expect(audit.filter(({ action }) => action === 'deployment.commit')).toHaveLength(1);
      });

      test('a refused change leaves no trace', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        const before = await registry.auditRows('fraud');
        await expectCode(registry.changeDeployment(changeOf(fence, 'commit', 0, { champion: 5 })), 'VERSION_NOT_FOUND');
        await expectCode(registry.changeDeployment(changeOf(fence, 'commit', 4)), 'EPOCH_STALE');
        expect(await registry.deployment('fraud')).toBeNull();
        expect(await registry.pendingOutbox(10)).toEqual([]);
        expect(await registry.auditRows('fraud')).toEqual(before);
      });

      test('former champions come newest first, without the present one', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        for (const sha of ['a', 'b', 'c']) await registry.registerVersion(draftOf('fraud', sha), fence);
        expect(await registry.championHistory('fraud')).toEqual([]);
        let epoch = 0;
        for (const champion of [1, 2, 3, 1]) {
          store.setClock(START_MS + epoch);
          await registry.changeDeployment(changeOf(fence, `commit-${epoch}`, epoch, { champion }));
          epoch++;
        }
        await registry.changeDeployment(changeOf(fence, 'prepare', epoch, { champion: 1, prepare: 2 }));
        expect(await registry.championHistory('fraud')).toEqual([
          { version: 3, epoch: 3, at: START_MS + 2 },
          { version: 2, epoch: 2, at: START_MS + 1 },
        ]);
      });

      test('the outbox gives rows in order until they are published', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        for (const epoch of [0, 1, 2]) await registry.changeDeployment(changeOf(fence, `s${epoch}`, epoch));
        const rows = await registry.pendingOutbox(2);
        expect(rows.map(({ deployment }) => deployment.epoch)).toEqual([1, 2]);
        await registry.markPublished(rows.map(({ id }) => id));
        await registry.markPublished(rows.map(({ id }) => id));
        const rest = await registry.pendingOutbox(2);
        expect(rest.map(({ model, deployment }) => [model, deployment.epoch])).toEqual([['fraud', 3]]);
      });

      test('of many changes from one epoch exactly one is made', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        const second = await store.open();
        const outcomes = await Promise.allSettled(
          Array.from({ length: 20 }, (_, index) =>
            (index % 2 === 0 ? registry : second).changeDeployment(changeOf(fence, `s${index}`, 0)),
          ),
        );
        await second.close();
        expect(outcomes.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
        for (const outcome of outcomes) {
          if (outcome.status === 'rejected') expect(isTidemillError(outcome.reason, 'EPOCH_STALE')).toBe(true);
        }
        expect((await registry.deployment('fraud'))?.epoch).toBe(1);
      });
    });

    describe('audit', () => {
      test('keeps what an audit of served vectors found, once for each run of it', async () => {
        const found: AuditResult = { outcome: 'inconclusive', model: 'fraud', from: 'a', to: 'b', reason: 'nothing' };
        await registry.noteConsistency('fraud', 'w1 r1', found);
        await registry.noteConsistency('fraud', 'w1 r1', { ...found, reason: 'attempted again' });
        await registry.noteConsistency('fraud', 'w1 r2', found);
        const rows = await registry.auditRows('fraud');
        expect(rows.map(({ actor, action, reason }) => [actor, action, reason])).toEqual([
          ['w1 r1', 'consistency.audited', 'inconclusive: nothing'],
          ['w1 r2', 'consistency.audited', 'inconclusive: nothing'],
        ]);
        expect(rows[0]?.after).toEqual(found);
        expect(verifyAudit(rows)).toMatchObject({ kind: 'intact', rows: 2 });
      });

      test('every change has a row with its before, after, evidence and the hash of the row before', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        await registry.registerVersion(draftOf('fraud', 'a'), fence);
        await registry.registerVersion(draftOf('fraud', 'b'), fence);
        await registry.rejectVersion('fraud', 2, 'auc 0.7', fence);
        await registry.changeDeployment(changeOf(fence, 'commit', 0, { champion: 1 }));
        await registry.closeRollout(fence, 'promoted');
        const rows = await registry.auditRows('fraud');
        expect(rows.map(({ action }) => action)).toEqual([
          'rollout.opened',
          'version.registered',
          'version.registered',
          'version.rejected',
          'deployment.commit',
          'rollout.closed',
        ]);
        expect(rows[0]?.previousHash).toBe(GENESIS_HASH);
        const commit = rows[4];
        expect(commit).toMatchObject({
          at: START_MS,
          actor: 'test',
          reason: 'step commit',
          before: null,
          after: { epoch: 1, champion: 1 },
          evidence: { gate: 'auc', value: 0.9 },
        });
        expect(verifyAudit(rows)).toEqual({ kind: 'intact', rows: 6, head: rows[5]?.hash });
      });

      test('the chain shows rows that were changed, removed, moved or cut off', async () => {
        const fence = await registry.openRollout('fraud', 'w1', 'manual');
        for (const epoch of [0, 1, 2]) await registry.changeDeployment(changeOf(fence, `s${epoch}`, epoch));
        const rows = await registry.auditRows('fraud');
        const head = rows.at(-1)?.hash ?? '';
        expect(verifyAudit(rows, head).kind).toBe('intact');
        const changed = rows.map((row) => (row.sequence === 2 ? { ...row, actor: 'someone else' } : row));
        expect(verifyAudit(changed)).toMatchObject({ kind: 'broken', sequence: 2 });
        expect(verifyAudit(rows.filter(({ sequence }) => sequence !== 2))).toMatchObject({
          kind: 'broken',
          sequence: 2,
        });
        const renumbered = rows
          .filter(({ sequence }) => sequence !== 2)
          .map((row, index) => ({ ...row, sequence: index + 1 }));
        expect(verifyAudit(renumbered)).toMatchObject({ kind: 'broken', sequence: 2 });
        expect(verifyAudit(rows.slice(0, -1), head)).toMatchObject({ kind: 'broken', sequence: 3 });
      });
    });

    describe('instances, stream time, generations', () => {
      const state: InstanceState = {
        instance: 'stream-1',
        kind: 'stream',
        models: ['fraud'],
        readyEpoch: 2,
        activeEpoch: 1,
        breaker: 'closed',
        problem: null,
      };

      test('an instance is live until its lease expires', async () => {
        await registry.renewInstance(state, 10_000);
        await registry.renewInstance({ ...state, instance: 'stream-2', models: ['churn'] }, 10_000);
        expect(await registry.liveInstances('fraud')).toEqual([{ ...state, expiresAt: START_MS + 10_000 }]);
        store.setClock(START_MS + 9_999);
        expect(await registry.liveInstances('fraud')).toHaveLength(1);
        await registry.renewInstance({ ...state, activeEpoch: 2, problem: 'no space' }, 10_000);
        store.setClock(START_MS + 10_000);
        expect(await registry.liveInstances('churn')).toEqual([]);
        expect(await registry.liveInstances('fraud')).toMatchObject([{ activeEpoch: 2, problem: 'no space' }]);
        expect(await registry.sweepInstances()).toBe(1);
        expect(await registry.sweepInstances()).toBe(0);
        await registry.removeInstance('stream-1');
        expect(await registry.liveInstances('fraud')).toEqual([]);
      });

      test('an instance says which features it computes, and may say nothing of them', async () => {
        const features = { views: ['aa', 'bb'], tasks: 3, recovering: 1, replayed: 40 };
        await registry.renewInstance({ ...state, features }, 10_000);
        await registry.renewInstance({ ...state, instance: 'stream-2' }, 10_000);
        expect(await registry.liveInstances('fraud')).toEqual([
          { ...state, features, expiresAt: START_MS + 10_000 },
          { ...state, instance: 'stream-2', expiresAt: START_MS + 10_000 },
        ]);
        await registry.renewInstance({ ...state, features: { ...features, recovering: 0 } }, 10_000);
        expect((await registry.liveInstances('fraud'))[0]?.features?.recovering).toBe(0);
      });

      test('an instance says which epoch it will never follow, until it says otherwise', async () => {
        await registry.renewInstance({ ...state, refusedEpoch: 7, problem: 'broken' }, 10_000);
        expect(await registry.liveInstances('fraud')).toMatchObject([{ refusedEpoch: 7, problem: 'broken' }]);
        await registry.renewInstance(state, 10_000);
        expect(await registry.liveInstances('fraud')).toEqual([{ ...state, expiresAt: START_MS + 10_000 }]);
      });

      test('a watermark never goes back', async () => {
        expect(await registry.watermark('transactions')).toBeNull();
        for (const watermark of [100, 300, 200]) await registry.advanceWatermark('transactions', watermark);
        expect(await registry.watermark('transactions')).toBe(300);
      });

      test('generations start at 1 and each is issued once', async () => {
        expect(await registry.generation('score.fraud')).toBe(1);
        expect(await registry.issueGeneration('score.fraud')).toBe(2);
        expect(await registry.issueGeneration('score.fraud')).toBe(3);
        expect(await registry.generation('score.fraud')).toBe(3);
        expect(await registry.generation('archive')).toBe(1);
      });

      test('a generation that is replayed has a number of its own, and takes over once', async () => {
        expect(await registry.replayGeneration('score.fraud')).toBeNull();
        expect(await registry.issueReplay('score.fraud')).toBe(2);
        expect(await registry.issueReplay('score.fraud')).toBe(2);
        expect(await registry.generation('score.fraud')).toBe(1);
        expect(await registry.nextGeneration('score.fraud')).toBe(3);
        expect(await registry.issueGeneration('score.fraud')).toBe(3);
        expect(await registry.endReplay('score.fraud', 3, 'adopt')).toBe(false);
        expect(await registry.endReplay('score.fraud', 2, 'adopt')).toBe(true);
        expect(await registry.endReplay('score.fraud', 2, 'adopt')).toBe(false);
        expect(await registry.generation('score.fraud')).toBe(2);
        expect(await registry.replayGeneration('score.fraud')).toBeNull();
        expect(await registry.issueReplay('score.fraud')).toBe(4);
        expect(await registry.endReplay('score.fraud', 4, 'drop')).toBe(true);
        expect(await registry.generation('score.fraud')).toBe(2);
        expect(await registry.issueGeneration('score.fraud')).toBe(5);
      });

      test('of several who replay a topology at once all get one number, and one of those who end it does', async () => {
        const other = await store.open();
        const both = [registry, other, registry, other];
        try {
          const issued = await Promise.all(both.map((each) => each.issueReplay('score.fraud')));
          expect(issued).toEqual([2, 2, 2, 2]);
          const ended = await Promise.all(both.map((each) => each.endReplay('score.fraud', 2, 'adopt')));
          expect(ended.filter((has) => has)).toHaveLength(1);
          expect(await other.generation('score.fraud')).toBe(2);
          expect(await other.nextGeneration('score.fraud')).toBe(3);
        } finally {
          await other.close();
        }
      });

      test('a replay is that of one topology: others, and those without one, do not hear of it', async () => {
        expect(await registry.issueReplay('score.fraud')).toBe(2);
        expect(await registry.replayGeneration('score.churn')).toBeNull();
        expect(await registry.nextGeneration('score.churn')).toBe(2);
        expect(await registry.endReplay('score.churn', 2, 'drop')).toBe(false);
        expect(await registry.replayGeneration('score.fraud')).toBe(2);
      });
    });

    test('what one process wrote another reads, and projects do not see each other', async () => {
      const fence = await registry.openRollout('fraud', 'w1', 'manual');
      await registry.changeDeployment(changeOf(fence, 'commit', 0));
      const again = await store.open();
      expect((await again.deployment('fraud'))?.epoch).toBe(1);
      await again.close();
      const elsewhere = await store.open('elsewhere');
      expect(await elsewhere.deployment('fraud')).toBeNull();
      expect(await elsewhere.pendingOutbox(10)).toEqual([]);
      expect((await elsewhere.openRollout('fraud', 'w1', 'manual')).token).toBe(1);
      await elsewhere.close();
    });
  });
}
