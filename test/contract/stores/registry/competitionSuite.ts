import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import type { RegistryAddress } from '../../../../contracts/registryAddress.js';
import { verifyAudit } from '../../../../stores/registry/auditChain.js';
import { openRegistry } from '../../../../stores/registry/openRegistry.js';
import type { Registry } from '../../../../stores/registry/registry.js';
import { changeOf } from './registrySuite.js';

// The other processes run the build.
const root = fileURLToPath(new URL('../../../../', import.meta.url));
const built = join(root, 'dist', 'stores', 'registry', 'openRegistry.js');
const script = fileURLToPath(new URL('./competitor.mjs', import.meta.url));
const PROJECT = 'competition';

type Task =
  { changes: number } | { epoch: number } | { phase: string } | { approve: { token: number } } | { close: true };

/** A process of its own that changes the registry as it is told. */
class Competitor {
  private constructor(private readonly child: ChildProcess) {}

  /** Resolves once it has opened the registry. */
  static async start(address: RegistryAddress, name: string): Promise<Competitor> {
    const child = fork(script, [built, PROJECT, name], {
      env: { ...process.env, REGISTRY_ADDRESS: JSON.stringify(address) },
      execArgv: [],
    });
    const competitor = new Competitor(child);
    expect(await competitor.answer<string>()).toBe('open');
    return competitor;
  }

  async do<T>(task: Task): Promise<T> {
    const answer = this.answer<T>();
    this.child.send(task);
    return answer;
  }

  async stop(): Promise<void> {
    const ended = once(this.child, 'exit');
    await this.do<string>({ close: true });
    expect(await ended).toEqual([0, null]);
  }

  private async answer<T>(): Promise<T> {
    const ended = new AbortController();
    const exit = once(this.child, 'exit', { signal: ended.signal }).then(
      ([code]) => Promise.reject(new Error(`the process ended with ${String(code)}`)),
      () => undefined,
    );
    const message = once(this.child, 'message').then(([value]) => value as T);
    try {
      return (await Promise.race([message, exit])) as T;
    } finally {
      ended.abort();
    }
  }
}

/** What several processes that change one registry at once may count on. `address` gives a registry that nobody has opened. */
export function describeCompetition(name: string, address: () => RegistryAddress): void {
  describe.skipIf(!existsSync(built))(`several processes on ${name}`, () => {
    const start = (names: readonly string[]): Promise<Competitor[]> =>
      Promise.all(names.map((each) => Competitor.start(address(), each)));
    const open = (): Promise<Registry> => openRegistry({ registry: address(), project: PROJECT });
    const expectIntact = async (registry: Registry): Promise<void> => {
      for (const model of ['fraud', 'churn']) expect(verifyAudit(await registry.auditRows(model)).kind).toBe('intact');
    };

    test('a new registry is made by one of those who open it at once', async () => {
      const competitors = await start(['a', 'b', 'c', 'd', 'e', 'f']);
      for (const each of competitors) await each.stop();
    });

    test('of two who change it from one epoch at once exactly one wins, round after round', async () => {
      const rounds = 50;
      const registry = await open();
      const fence = await registry.openRollout('fraud', 'test', 'competition');
      const competitors = await start(['one', 'two']);
      for (let epoch = 0; epoch < rounds; epoch++) {
        const results = await Promise.all(
          competitors.map((each) => each.do<{ won: boolean; token: number }>({ epoch })),
        );
        expect(results.filter(({ won }) => won)).toHaveLength(1);
        expect((await registry.deployment('fraud'))?.epoch).toBe(epoch + 1);
        // Both were given a token; the older one is fenced.
        const tokens = results.map(({ token }) => token);
        expect([...tokens].sort((a, b) => a - b)).toEqual([2 * epoch + 1, 2 * epoch + 2]);
        const allowed = await Promise.all(competitors.map((each) => each.do<string>({ phase: `round ${epoch}` })));
        expect(allowed).toEqual(tokens.map((token) => (token === Math.max(...tokens) ? 'allowed' : 'FENCED')));
      }
      for (const each of competitors) await each.stop();
      expect((await registry.pendingOutbox(1_000)).map(({ deployment }) => deployment.epoch)).toEqual(
        Array.from({ length: rounds }, (_, index) => index + 1),
      );
      expect((await registry.rollout('fraud', fence.token))?.closedAt).toBeNull();
      await expectIntact(registry);
      await registry.close();
    });

    test('of two who use one token at once exactly one has used it, round after round', async () => {
      const rounds = 20;
      const registry = await open();
      const competitors = await start(['one', 'two']);
      for (let round = 1; round <= rounds; round++) {
        const { token } = await registry.openRollout('fraud', `w${round}`, 'competition');
        await registry.journalIntent({ model: 'fraud', token }, 'approval', {});
        const answers = await Promise.all(competitors.map((each) => each.do<string>({ approve: { token } })));
        expect([...answers].sort()).toEqual(['APPROVAL_INVALID', 'used']);
      }
      for (const each of competitors) await each.stop();
      const approved = (await registry.auditRows('fraud')).filter(({ action }) => action === 'rollout.approved');
      expect(approved).toHaveLength(rounds);
      await expectIntact(registry);
      await registry.close();
    });

    test('every change is made once, from the epoch before it, and no token is issued twice', async () => {
      const each = 20;
      const registry = await open();
      const fence = await registry.openRollout('fraud', 'test', 'competition');
      await registry.changeDeployment(changeOf(fence, 'first', 0));
      const competitors = await start(['a', 'b', 'c', 'd']);
      const results = await Promise.all(
        competitors.map((competitor) => competitor.do<{ stale: number; tokens: number[] }>({ changes: each })),
      );
      for (const competitor of competitors) await competitor.stop();
      const changes = competitors.length * each;
      expect((await registry.deployment('fraud'))?.epoch).toBe(changes + 1);
      const published = await registry.pendingOutbox(1_000);
      expect(published.map(({ deployment }) => deployment.epoch)).toEqual(
        Array.from({ length: changes + 1 }, (_, index) => index + 1),
      );
      const tokens = results.flatMap((result) => result.tokens).sort((a, b) => a - b);
      expect(tokens).toEqual(Array.from({ length: changes }, (_, index) => index + 1));
      await expectIntact(registry);
      await registry.close();
    });
  });
}
