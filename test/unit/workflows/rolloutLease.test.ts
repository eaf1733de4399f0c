import { describe, expect, test } from 'vitest';
import type { Holder } from '../../../contracts/workflows.js';
import { RolloutLease } from '../../../workflows/rolloutLease.js';

const asking = (workflowId: string, more: Partial<Holder> = {}): Holder => ({ workflowId, trigger: 'manual', ...more });
const lease = (): RolloutLease => new RolloutLease(null, null, null);

describe('the lease of a model’s rollout', () => {
  test('is granted to one, lets one wait, and refuses the rest by name', () => {
    const one = lease();
    expect(one.ask(asking('a'))).toEqual({ kind: 'granted' });
    expect(one.ask(asking('b'))).toEqual({ kind: 'queued' });
    expect(one.ask(asking('c'))).toEqual({ kind: 'refused', reason: 'a is rolling out and b waits already' });
  });

  test('answers whoever asks again as before', () => {
    const one = lease();
    one.ask(asking('a'));
    one.ask(asking('b'));
    expect(one.ask(asking('a'))).toEqual({ kind: 'granted' });
    expect(one.ask(asking('b'))).toEqual({ kind: 'queued' });
  });

  test('goes to the one that waits once its holder has closed', () => {
    const one = lease();
    one.ask(asking('a'));
    one.ask(asking('b'));
    expect(one.close('b')).toBe(false);
    expect(one.close('a')).toBe(true);
    expect(one.ask(asking('b'))).toEqual({ kind: 'granted' });
    expect(one.queued).toBeNull();
  });

  test('tells its holder to step aside for who supersedes it, who waits in front of everybody', () => {
    const one = lease();
    one.ask(asking('a'));
    one.ask(asking('b'));
    expect(one.ask(asking('c', { supersede: true }))).toEqual({ kind: 'queued' });
    expect(one.superseding).toBe('a');
    expect(one.queued?.workflowId).toBe('c');
  });

  test('is kept from what starts by itself while the model is paused, not from people', () => {
    const one = new RolloutLease(null, null, { by: 'ann', reason: 'migration' });
    expect(one.ask(asking('a', { trigger: 'drift' }))).toEqual({ kind: 'refused', reason: 'paused by ann: migration' });
    expect(one.ask(asking('b', { trigger: 'schedule' }))).toMatchObject({ kind: 'refused' });
    expect(one.ask(asking('c'))).toEqual({ kind: 'granted' });
  });
});
