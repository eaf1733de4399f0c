import { describe, expect, test } from 'vitest';
import { TidemillError } from '../../../../contracts/errors.js';
import type { CompiledWindows } from '../../../../features/compiledWindows.js';
import { count, eventStream, sum, t, windowed } from '../../../../index.js';
import type { StateEntry, WindowSink, WindowState } from '../../../../streams/windows/windowState.js';
import { createWindowState } from '../../../../streams/windows/createWindowState.js';

const clicks = eventStream('clicks', {
  schema: { id: t.int(), at: t.timestamp(), user: t.string(), weight: t.int() },
  eventId: 'id',
  eventTime: 'at',
  key: 'user',
});
const by = windowed('w', clicks).by('user');
type Shaped = ReturnType<typeof by.tumbling>;
const aggregated = (shaped: Shaped) => shaped.aggregate(({ weight }) => ({ clicks: count(), weight: sum(weight) }));

/** A state, and what it told, one line each: `KEY [START, END) rREVISION values`. */
function observed(windows: CompiledWindows): { state: WindowState; sink: WindowSink; told: () => string[] } {
  const state = createWindowState({ windows, fields: windows.stream.fields });
  let lines: string[] = [];
  const sink: WindowSink = {
    result: (store, row, key, start, end, revision) =>
      lines.push(`${String(key)} [${start}, ${end}) r${revision} ${state.plan.json(store, row)}`),
    retract: (key, start, end, revision) => lines.push(`${String(key)} [${start}, ${end}) r${revision} retracted`),
  };
  return {
    state,
    sink,
    told: () => {
      const told = lines;
      lines = [];
      return told;
    },
  };
}

describe('sessions', () => {
  const windows = aggregated(by.session({ gap: '5ms' }))
    .emit('onUpdate')
    .late({ update: '100ms' })
    .to('out').compiled;

  test('grow together where an event comes between them, and the later start is retracted', () => {
    const { state, sink, told } = observed(windows);
    const click = (at: number): void => state.fold('u', at, at, [at, at, 'u', 1], sink);
    click(101);
    click(103);
    click(109);
    state.flush(sink);
    expect(told()).toEqual(['u [101, 108) r1 "clicks":2,"weight":2', 'u [109, 114) r0 "clicks":1,"weight":1']);
    click(106);
    state.flush(sink);
    expect(told()).toEqual(['u [109, 114) r1 retracted', 'u [101, 114) r2 "clicks":4,"weight":4']);
    expect(state.size.rows).toBe(1);
  });

  test('go by another start where an event comes before them', () => {
    const { state, sink, told } = observed(windows);
    state.fold('u', 101, 1, [1, 101, 'u', 1], sink);
    state.flush(sink);
    told();
    state.fold('u', 98, 2, [2, 98, 'u', 1], sink);
    state.flush(sink);
    expect(told()).toEqual(['u [101, 106) r1 retracted', 'u [98, 106) r0 "clicks":2,"weight":2']);
  });

  test('are split by a gap that is just long enough', () => {
    const { state, sink, told } = observed(windows);
    for (const at of [100, 105]) state.fold('u', at, at, [at, at, 'u', 1], sink);
    state.flush(sink);
    expect(told().length).toBe(2);
  });

  test('are forgotten once no event can revise them', () => {
    const { state, sink } = observed(windows);
    state.fold('u', 101, 1, [1, 101, 'u', 1], sink);
    state.advance(205, sink);
    expect(state.size.rows).toBe(1);
    state.advance(206, sink);
    expect(state.size.rows).toBe(0);
  });
});

describe('tumbling windows', () => {
  const windows = aggregated(by.tumbling('10ms')).to('out').compiled;

  test('hold their start and not their end, and close when the watermark reaches it', () => {
    const { state, sink, told } = observed(windows);
    for (const at of [10, 19, 20]) state.fold('u', at, at, [at, at, 'u', 1], sink);
    state.advance(19, sink);
    expect(told()).toEqual([]);
    state.advance(20, sink);
    expect(told()).toEqual(['u [10, 20) r0 "clicks":2,"weight":2']);
    expect(state.size.rows).toBe(1);
  });

  test('hold what lies before 1970, too', () => {
    const { state, sink, told } = observed(windows);
    state.fold('u', -1, 1, [1, -1, 'u', 1], sink);
    state.advance(0, sink);
    expect(told()).toEqual(['u [-10, 0) r0 "clicks":1,"weight":1']);
  });

  test('tell nothing in a silent replay, and keep the same state', () => {
    const live = observed(windows);
    const replayed = observed(windows);
    for (let at = 0; at < 100; at++) {
      live.state.fold('u', at, at, [at, at, 'u', at], live.sink);
      live.state.advance(at - 3, live.sink);
      replayed.state.fold('u', at, at, [at, at, 'u', at], null);
      replayed.state.advance(at - 3, null);
    }
    expect(live.told().length).toBeGreaterThan(5);
    expect(replayed.told()).toEqual([]);
    const entries = (state: WindowState): string[] =>
      [...state.snapshot()].map(
        ({ key, value }) => `${key} ${value === null ? '' : Buffer.from(value).toString('hex')}`,
      );
    expect(entries(replayed.state)).toEqual(entries(live.state));
  });
});

describe.each([
  ['aligned', aggregated(by.tumbling('10ms')).to('out').compiled],
  ['session', aggregated(by.session({ gap: '5ms' })).to('out').compiled],
])('a snapshot of %s windows', (_, windows) => {
  function filled(): StateEntry[] {
    const { state, sink } = observed(windows);
    for (let user = 0; user < 600; user++) state.fold(`u${user}`, 5, user, [user, 5, `u${user}`, user], sink);
    return [...state.snapshot()];
  }

  test('is restored in any order of its entries', () => {
    const entries = filled();
    expect(entries.length).toBe(3);
    const whole = observed(windows);
    for (const { key, value } of entries.reverse()) whole.state.restore(key, value as Uint8Array);
    whole.state.fold('u7', 6, 1_000, [1_000, 6, 'u7', 1], whole.sink);
    whole.state.advance(100, whole.sink);
    const told = whole.told();
    expect(told.length).toBe(600);
    expect(told.find((line) => line.startsWith('u7 '))).toMatch(/"clicks":2,"weight":8$/);
  });

  test('is of the pages that changed alone', () => {
    const { state, sink } = observed(windows);
    for (let user = 0; user < 600; user++) state.fold(`u${user}`, 5, user, [user, 5, `u${user}`, 1], sink);
    expect([...state.snapshot()].length).toBe(3);
    expect([...state.snapshot()].length).toBe(0);
    state.fold('u599', 5, 601, [601, 5, 'u599', 1], sink);
    expect([...state.snapshot()].length).toBe(1);
  });

  test('is refused where it is torn or of something else', () => {
    const [entry] = filled();
    const { key, value } = entry as { key: string; value: Uint8Array };
    for (const broken of [value.subarray(0, 3), value.subarray(0, value.length - 5), Buffer.concat([value, value])])
      expect(() => observed(windows).state.restore(key, broken)).toThrow(TidemillError);
    expect(() => observed(windows).state.restore('x', value)).toThrow(/belongs to nothing/);
  });
});
