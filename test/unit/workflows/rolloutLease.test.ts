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

  test('is that of the one that waits as soon as its holder has closed, whoever asks first', () => {
    const one = lease();
    one.ask(asking('a'));
    one.ask(asking('b'));
    one.close('a');
    expect(one.handToNext()).toMatchObject(asking('b'));
    expect(one.ask(asking('c'))).toEqual({ kind: 'queued' });
    expect(one.ask(asking('d'))).toMatchObject({ kind: 'refused' });
    expect(one.ask(asking('b'))).toEqual({ kind: 'granted' });
    expect(one.holder).toEqual(asking('b'));
    expect(one.queued).toEqual(asking('c'));
  });

  test('goes on to the next where the one that was given it ended before it came', () => {
    const one = lease();
    one.ask(asking('a'));
    one.ask(asking('b'));
    one.close('a');
    one.handToNext();
    one.ask(asking('c'));
    expect(one.giveUp('b')).toBe(true);
    expect(one.handToNext()).toMatchObject(asking('c'));
    // It has come: its end is for others to find out, who see to what it left behind.
    one.ask(asking('c'));
    expect(one.giveUp('c')).toBe(false);
    expect(one.handToNext()).toBeNull();
  });

  test('tells its holder to step aside for who supersedes it, who waits in front of everybody', () => {
    const one = lease();
    one.ask(asking('a'));
    one.ask(asking('b'));
    expect(one.ask(asking('c', { supersede: true }))).toEqual({ kind: 'queued' });
    expect(one.superseding).toBe('a');
    expect(one.queued?.workflowId).toBe('c');
  });

  test('refuses who was displaced by name, once it asks again, and then knows it no more', () => {
    const one = lease();
    one.ask(asking('a'));
    one.ask(asking('b'));
    one.ask(asking('c', { supersede: true }));
    one.ask(asking('c', { supersede: true }));
    expect(one.untold).toEqual(['b']);
    one.close('a');
    // Free, but not for who was displaced.
    expect(one.ask(asking('b'))).toEqual({ kind: 'refused', reason: 'c took its place' });
    expect(one.displaced).toEqual([]);
    expect(one.ask(asking('c'))).toEqual({ kind: 'granted' });
  });

  test('is kept from what starts by itself while the model is paused, not from people', () => {
    const one = new RolloutLease(null, null, { by: 'ann', reason: 'migration' });
    expect(one.ask(asking('a', { trigger: 'drift' }))).toEqual({ kind: 'refused', reason: 'paused by ann: migration' });
    expect(one.ask(asking('b', { trigger: 'schedule' }))).toMatchObject({ kind: 'refused' });
    expect(one.ask(asking('c'))).toEqual({ kind: 'granted' });
  });

  describe('while somebody rolls back', () => {
    const begun = (workflowId: string, to = 1) => ({ workflowId, intent: { from: 2, to, reason: 'bad' } });

    test('lets who asks wait until the last rollback has closed', () => {
      const one = lease();
      one.rollBack(begun('back'));
      one.rollBack(begun('other'));
      expect(one.ask(asking('a'))).toEqual({ kind: 'queued' });
      expect(one.ask(asking('b'))).toEqual({ kind: 'refused', reason: 'back is rolling back and a waits already' });
      expect(one.close('back')).toBe(true);
      expect(one.isFree).toBe(false);
      expect(one.close('other')).toBe(true);
      expect(one.isFree).toBe(true);
      expect(one.ask(asking('a'))).toEqual({ kind: 'granted' });
    });

    test('still knows its holder, who finds out by itself that it was fenced', () => {
      const one = lease();
      one.ask(asking('a'));
      one.rollBack(begun('back'));
      expect(one.ask(asking('a'))).toEqual({ kind: 'granted' });
      one.close('a');
      expect(one.isFree).toBe(false);
    });

    test('keeps who was given the lease waiting, and tells it again', () => {
      const one = lease();
      one.ask(asking('a'));
      one.ask(asking('b'));
      one.close('a');
      one.handToNext();
      one.rollBack(begun('back'));
      expect(one.ask(asking('b'))).toEqual({ kind: 'queued' });
      expect(one.handToNext()).toBeNull();
      one.close('back');
      expect(one.handToNext()).toMatchObject(asking('b'));
      expect(one.ask(asking('b'))).toEqual({ kind: 'granted' });
    });

    test('supersedes nobody', () => {
      const one = lease();
      one.rollBack(begun('back'));
      expect(one.ask(asking('a', { supersede: true }))).toEqual({ kind: 'queued' });
      expect(one.superseding).toBeNull();
    });

    test('remembers what was said last, and who finishes it', () => {
      const one = lease();
      one.rollBack(begun('back'));
      one.rollBack(begun('back', 0));
      one.handOver('back', 'recovery');
      expect(one.rollbacks).toEqual([begun('recovery', 0)]);
      expect(one.close('back')).toBe(false);
      expect(one.close('recovery')).toBe(true);
    });
  });
});
